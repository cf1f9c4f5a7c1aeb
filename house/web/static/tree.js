// Where each node of a tree is drawn. No DOM in here: lists in, lists out.

/**
 * layout places nodes in layers below the source. Each node hangs from the one that delivers to it,
 * else from the first that would. Widths follow the leaves, so that no two boxes overlap.
 */
export function layout(list, size) {
  const nodes = list.map((n) => ({...n, kids: []}));
  const by = new Map(nodes.map((n) => [n.id, n]));
  const up = (n) => by.get(n.parent) || (n.delivering ? undefined : by.get(n.wanted.find((w) => by.has(w))));
  for (const n of nodes) n.above = up(n);
  for (const n of nodes) { // what a house hears from two pumps at two moments may look like a circle
    const seen = new Set([n]);
    for (let a = n.above; a; a = a.above) {
      if (seen.has(a)) {
        n.above = undefined;
        break;
      }
      seen.add(a);
    }
  }
  for (const n of nodes) n.above?.kids.push(n);
  let next = 0;
  let deepest = -1;
  const top = 34 + size.gapY;
  const place = (n, depth) => {
    deepest = Math.max(deepest, depth);
    n.y = top + depth * (size.height + size.gapY);
    if (!n.kids.length) {
      n.x = next;
      next += size.width + size.gapX;
      return;
    }
    for (const k of n.kids) place(k, depth + 1);
    n.x = (n.kids[0].x + n.kids[n.kids.length - 1].x) / 2;
  };
  for (const n of nodes) if (!n.above) place(n, 0);
  const width = Math.max(next - size.gapX, 150);
  if (next && next - size.gapX < width) for (const n of nodes) n.x += (width - (next - size.gapX)) / 2;
  return {nodes, width, height: deepest < 0 ? 34 : top + deepest * (size.height + size.gapY) + size.height};
}
