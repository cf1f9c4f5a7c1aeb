// Where the bands of a picture of moves are drawn. No DOM in here: lists in, lists out.

/** nowhere is the node of those who would be refused. */
export const nowhere = '\u0000nowhere';

/**
 * flow puts who moves from where to where into bands between two columns, the widest first. What is
 * beyond most bands is summed up in rest.
 */
export function flow(moves, size) {
  const all = [...moves].sort((a, b) => b.viewers - a.viewers);
  const shown = all.slice(0, size.most);
  const sum = (list) => list.reduce((n, m) => n + m.viewers, 0);
  const scale = size.height / Math.max(1, sum(shown));
  const thick = (n) => Math.max(size.thinnest, n * scale);
  const column = (side) => {
    const nodes = new Map();
    for (const m of shown) {
      const id = m[side];
      if (!nodes.has(id)) nodes.set(id, {id, viewers: 0, height: 0, used: 0});
      const n = nodes.get(id);
      n.viewers += m.viewers;
      n.height += thick(m.viewers);
    }
    const list = [...nodes.values()].sort((a, b) => (a.id === nowhere) - (b.id === nowhere) || b.viewers - a.viewers);
    let y = size.top;
    for (const n of list) {
      n.height = Math.max(n.height, size.label);
      n.y = y;
      y += n.height + size.gap;
    }
    return {nodes, list, end: y - size.gap};
  };
  const left = column('from');
  const right = column('to');
  const order = new Map(right.list.map((n, i) => [n.id, i]));
  const bands = [...shown].sort((a, b) => order.get(a.to) - order.get(b.to)).map((m) => {
    const a = left.nodes.get(m.from);
    const b = right.nodes.get(m.to);
    const t = thick(m.viewers);
    const band = {...m, thick: t, y1: a.y + a.used + t / 2, y2: b.y + b.used + t / 2};
    a.used += t;
    b.used += t;
    return band;
  });
  return {left: left.list, right: right.list, bands, height: Math.max(left.end, right.end, size.top), rest: sum(all.slice(size.most)), others: all.length - shown.length};
}
