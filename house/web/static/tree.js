// Where each node of a tree is drawn. No DOM in here: lists in, lists out.

const many = 40; // nodes, from where on a row of all leaves is too wide to be looked at
const indent = 28;
const fewest = 4; // in a column, of those that stand below each other

/** hang gives each node the one that delivers to it, else the first that would, and those below it. */
function hang(list) {
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
  return nodes;
}

/**
 * layout places nodes in layers below the source. Each node hangs from the one that delivers to it,
 * else from the first that would. Widths follow the leaves, so that no two boxes overlap. In a tree of
 * very many, the leaves of one node stand in columns below it: each has a trunk, x of the line on its left.
 */
export function layout(list, size, room) {
  const nodes = hang(list).map((n) => Object.assign(n, {width: size.width}));
  const leavesInAll = nodes.filter((n) => !n.kids.length).length;
  const large = nodes.length > many || leavesInAll * (size.width + size.gapX) > Math.max(room, 4 * (size.width + size.gapX));
  const inColumn = Math.max(fewest, Math.ceil(leavesInAll / Math.max(1, Math.floor(room / (size.width + indent)))));
  const gapY = size.gapY + (large ? 50 : 0);
  let next = 0;
  let bottom = 0;
  const top = 34 + gapY;
  const place = (n, depth) => {
    n.y = top + depth * (size.height + gapY);
    bottom = Math.max(bottom, n.y + size.height);
    if (!n.kids.length) {
      n.x = next;
      next += size.width + size.gapX;
      return;
    }
    const leaves = large ? n.kids.filter((k) => !k.kids.length) : [];
    const row = n.kids.filter((k) => !leaves.includes(k));
    for (const k of row) place(k, depth + 1);
    const columns = next;
    leaves.forEach((k, i) => {
      k.x = columns + indent + Math.floor(i / inColumn) * (size.width + indent);
      k.y = n.y + size.height + gapY / 2 + (i % inColumn) * (size.height + 12);
      k.trunk = k.x - indent / 2;
      bottom = Math.max(bottom, k.y + size.height);
    });
    if (leaves.length) next = leaves[leaves.length - 1].x + size.width + size.gapX;
    n.x = row.length ? (row[0].x + row[row.length - 1].x) / 2 : columns;
  };
  for (const n of nodes) if (!n.above) place(n, 0);
  const width = Math.max(next - size.gapX, 150);
  if (next && next - size.gapX < width) for (const n of nodes) n.x += (width - (next - size.gapX)) / 2; // few nodes: no trunks
  return {nodes, width, height: nodes.length ? bottom : 34, large};
}

const step = 22; // px, of a column

/**
 * column places nodes one below the other, each a step to the right of the one above it: a tree of
 * any width fits in a window of a phone.
 */
export function column(list, size, room) {
  const nodes = hang(list);
  let y = 34 + 14;
  let deepest = 0;
  const order = [];
  const place = (n, depth) => {
    Object.assign(n, {depth, y});
    deepest = Math.max(deepest, depth);
    order.push(n);
    y += size.height + 12;
    for (const k of n.kids) place(k, depth + 1);
  };
  for (const n of nodes) if (!n.above) place(n, 1);
  const by = Math.min(step, Math.max(0, room - 180) / Math.max(1, deepest));
  for (const n of order) {
    n.x = n.depth * by;
    n.width = room - n.x;
    n.trunk = Math.max(2, Math.min((n.above ? n.above.x : 0) + 14, n.x - 4));
    n.straight = true;
  }
  return {nodes: order, width: room, height: nodes.length ? y - 12 : 34, large: nodes.length > many};
}
