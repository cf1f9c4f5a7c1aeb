// The tree of pumps of one stream, drawn as a picture.

import {h, s, say, put} from './dom.js';
import {count, some, rate} from './format.js';
import {fleet} from './fleet.js';
import {condition} from './view-fleet.js';
import {layout, column} from './tree.js';

const size = {width: 204, height: 72, gapX: 20, gapY: 58};
const phone = 560; // px: below, the picture goes down the window instead of beyond it

function nodesOf(path) {
  const key = path.toLowerCase();
  const given = fleet.streams.find((x) => x.path.toLowerCase() === key);
  const list = [];
  for (const p of fleet.pumps.values()) {
    const at = p.streams.find((x) => x.path.toLowerCase() === key);
    if (at || (given && given.type && p.enabled)) {
      list.push({
        id: p.id, title: p.title, pump: p, state: at ? at.state : 'none', source: at ? at.source : '',
        parent: at && at.parent && fleet.pumps.has(at.parent) ? at.parent : '', wanted: p.parents.filter((x) => fleet.pumps.has(x)),
        viewers: at ? at.viewers : 0, bps: at ? at.bps : 0, in: at ? at.in_bps : 0,
        delivering: p.state === 'up' && at && (at.state === 'live' || at.state === 'fallback'),
      });
    }
  }
  for (const p of fleet.relays.values()) {
    const at = p.streams.find((x) => x.path.toLowerCase() === key);
    if (!at || p.state !== 'up' || !(at.viewers || at.state === 'live')) continue;
    list.push({
      id: p.id, title: fleet.title(p.id), pump: p, state: at.state, source: at.source, parent: at.parent && fleet.pumps.has(at.parent) ? at.parent : '', wanted: [],
      viewers: at.viewers, bps: at.bps, in: at.in_bps, delivering: at.state === 'live' || at.state === 'fallback',
    });
  }
  // What a pump said last of its parent may be older than the parent's end.
  const by = new Map(list.map((n) => [n.id, n]));
  for (const n of list) n.flows = Boolean(n.delivering && (!n.parent || by.get(n.parent)?.delivering));
  return list;
}

const from = (n) => (n.flows ? (n.parent ? `, from ${fleet.title(n.parent)}` : ', from the source') : n.parent ? `, last from ${fleet.title(n.parent)}` : '');

const pageOf = (n) => (fleet.relays.has(n.id) ? `#/viewers//${encodeURIComponent(n.id)}` : `#/pump/${encodeURIComponent(n.id)}`);

function status(n) {
  if (n.pump.state !== 'up') return {kind: n.pump.state === 'down' ? 'bad' : 'off', word: condition(n.pump).word};
  if (n.state === 'live') return {kind: n.pump.draining ? 'warn' : 'good', word: n.pump.draining ? 'live, draining' : 'live'};
  if (n.state === 'fallback') return {kind: 'warn', word: 'fallback'};
  if (n.state === 'connecting') return {kind: 'warn', word: 'connecting'};
  return {kind: 'bad', word: n.state === 'none' ? 'no such stream here' : 'offline'};
}

const marks = {good: '●', warn: '▲', bad: '■', off: '○'};
const cut = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);

function box(n) {
  const c = status(n);
  return s('a', {href: pageOf(n), class: 'node', 'data-kind': c.kind, 'data-id': n.id, transform: `translate(${n.x} ${n.y})`,
    'aria-label': `${n.title}: ${c.word}, ${some(n.viewers, 'viewer')}${from(n)}`},
  s('rect', {width: n.width, height: size.height, rx: 10}),
  s('text', {x: 14, y: 26, class: 'name'}, cut(n.title, Math.floor((n.width - 20) / 8))),
  s('text', {x: 14, y: 45, class: 'state'}, `${marks[c.kind]} ${c.word}`),
  s('text', {x: 14, y: 62, class: 'dim'}, n.delivering ? `${some(n.viewers, 'viewer')} · ${rate(n.bps)}` : some(n.viewers, 'viewer')),
  s('title', null, n.source ? `${n.title}: ${n.source}` : n.title));
}

function edge(a, b, kind, width) {
  const x1 = a.x + (a.width || size.width) / 2;
  const y1 = a.y + (a.height || size.height);
  const x2 = b.x + size.width / 2;
  const y2 = b.y;
  if (b.trunk && (kind === 'flows' || b.above === a || !a.id)) {
    const down = b.straight ? `M${b.trunk} ${y1}` : `M${a.x + 14} ${y1}V${y1 + 22}H${b.trunk}`;
    return s('path', {class: `edge ${kind}`, d: `${down}V${b.y + size.height / 2}H${b.x}`, 'stroke-width': width});
  }
  if (y2 < y1) { // beside each other
    const right = b.x > a.x;
    return s('path', {class: `edge ${kind}`, d: `M${right ? a.x + size.width : a.x} ${a.y + size.height / 2}L${right ? b.x : b.x + size.width} ${b.y + size.height / 2}`, 'stroke-width': width});
  }
  const bend = Math.max(24, (y2 - y1) / 2);
  return s('path', {class: `edge ${kind}`, d: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`, 'stroke-width': width});
}

const mostDrawn = 150;

/**
 * few leaves out what a picture of very many pumps does not need: leaves that deliver, those with the
 * fewest viewers first. Who gives to others, and who is in trouble, is drawn before them.
 */
function few(list) {
  if (list.length <= mostDrawn) return list;
  const gives = new Set(list.map((n) => n.parent).filter(Boolean));
  const weight = (n) => (gives.has(n.id) ? 2 : n.delivering ? 0 : 1);
  const keep = new Set([...list].sort((a, b) => weight(b) - weight(a) || b.viewers - a.viewers).slice(0, mostDrawn));
  return list.filter((n) => keep.has(n));
}

/** picture draws what layout has placed. */
function picture(path, list, room) {
  const down = room < phone;
  const {nodes, width, height, large} = down ? column(list, size, room) : layout(list, size, room);
  const by = new Map(nodes.map((n) => [n.id, n]));
  const roots = nodes.filter((n) => !n.above);
  const middle = roots.length ? (roots[0].x + roots[roots.length - 1].x + size.width) / 2 : width / 2;
  const source = {x: down ? 0 : middle - 75, y: 0, width: 150, height: 34};
  const edges = [];
  for (const n of nodes) {
    const thick = n.delivering ? Math.min(7, 2 + Math.log10(1 + n.bps / 1e5)).toFixed(1) : 1.5;
    if (n.flows) edges.push(edge(n.parent ? by.get(n.parent) || source : source, n, 'flows', thick));
    for (const w of n.wanted) {
      if (by.has(w) && w !== (n.flows ? n.parent : '') && (!down || by.get(w) === n.above)) edges.push(edge(by.get(w), n, 'spare', 1.5));
    }
    if (!n.flows && !n.wanted.length) edges.push(edge(source, n, 'spare', 1.5));
  }
  return s('svg', {class: large ? 'tree large' : 'tree', viewBox: `-8 -8 ${width + 16} ${height + 16}`, width: width + 16, height: height + 16, role: 'group', 'aria-label': `Who gives stream ${path} to whom`},
    s('g', {'aria-hidden': 'true'}, ...edges),
    s('g', {class: 'source', transform: `translate(${source.x} ${source.y})`}, s('rect', {width: source.width, height: source.height, rx: 17}), s('text', {x: source.width / 2, y: 22, 'text-anchor': 'middle'}, `source of ${cut(path, 12)}`)),
    ...nodes.map(box));
}

/** toSource scrolls a picture that is wider than the window to where the source is. */
function toSource(stage) {
  const source = stage.querySelector('.source');
  if (!source) return;
  const r = source.getBoundingClientRect();
  const window = stage.getBoundingClientRect();
  stage.scrollLeft += r.left + r.width / 2 - (window.left + window.width / 2);
}

/** outline is the same in words. */
function outline(list) {
  const under = Map.groupBy(list, (n) => (n.delivering ? n.parent : n.parent || n.wanted[0] || ''));
  const below = (id) => under.get(id) || [];
  const branch = (id, deep) => {
    const kids = deep > 64 ? [] : below(id);
    return kids.length ? h('ul', null, ...kids.map((n) => h('li', null,
      h('a', {href: pageOf(n)}, n.title), ` ${status(n).word}, ${some(n.viewers, 'viewer')}`, branch(n.id, deep + 1)))) : null;
  };
  return branch('', 0);
}

export function treeView({args}) {
  const select = h('select', {'aria-label': 'Stream', onchange: () => { location.hash = `#/tree/${encodeURIComponent(select.value)}`; }});
  const facts = h('p', {class: 'dim'});
  const stage = h('div', {class: 'stage', tabindex: '0', role: 'region', 'aria-label': 'Picture of the tree, can be scrolled'});
  const words = h('div');
  const details = h('details', {ontoggle: () => { drawn = ''; took = 0; update(); }}, h('summary', null, 'The same in words'), words);
  const element = h('div', null, h('div', {class: 'bar-of-tools'}, h('h1', null, 'Tree of pumps'), select), facts, stage,
    h('p', {class: 'legend dim'}, h('span', {class: 'key flows'}), 'delivers now ', h('span', {class: 'key spare'}), 'would be used instead'),
    details);
  let wide = 0;
  const turned = new ResizeObserver(() => {
    if (wide && stage.clientWidth !== wide) {
      drawn = '';
      took = 0;
      update();
      toSource(stage);
    }
    wide = stage.clientWidth;
  });
  turned.observe(stage);
  let drawn = '';
  let drawnAt = 0; // ms
  let took = 0; // ms, the last time

  function update() {
    if (!fleet.known) return;
    const names = fleet.streams.map((x) => x.path);
    if ([...select.options].map((o) => o.value).join() !== names.join()) {
      select.replaceChildren(...fleet.streams.map((x) => h('option', {value: x.path}, x.name && x.name !== x.path ? `${x.name} (${x.path})` : x.path)));
    }
    const path = args[0] || names[0] || '';
    if (select.value !== path) select.value = path;
    const info = fleet.streams.find((x) => x.path === path);
    if (!info) {
      say(facts, names.length ? 'There is no such stream.' : 'There are no streams yet.');
      stage.replaceChildren();
      words.replaceChildren();
      drawn = '';
      return;
    }
    const list = nodesOf(path);
    const drawable = few(list);
    const out = list.length - drawable.length;
    say(facts, `${some(info.viewers, 'viewer')} · ${info.pumps === 1 ? '1 pump delivers' : `${count(info.pumps)} pumps deliver`} it · ${rate(info.bps)} each, ${rate(info.out_bps)} in all${out ? ` · ${out === 1 ? '1 pump is' : `${count(out)} pumps are`} only in the words below, those with the fewest viewers` : ''}`);
    if (performance.now() - drawnAt < 20 * took) return; // a large picture is drawn less often
    const begun = performance.now();
    const now = JSON.stringify(list.map((n) => [n.id, n.title, status(n), n.viewers, n.parent, n.wanted, rate(n.bps), n.delivering, n.source]));
    if (now === drawn) return;
    drawn = now;
    const focus = document.activeElement?.closest?.('[data-id]')?.dataset.id;
    const at = stage.firstElementChild ? stage.scrollLeft : null;
    const inner = getComputedStyle(stage);
    stage.replaceChildren(picture(path, drawable, stage.clientWidth ? stage.clientWidth - parseFloat(inner.paddingLeft) - parseFloat(inner.paddingRight) - 16 : innerWidth - 80));
    if (at === null) requestAnimationFrame(() => toSource(stage));
    else stage.scrollLeft = at;
    if (list.length <= mostDrawn || details.open) words.replaceChildren(outline(list) || h('p', null, 'No pump has this stream.'));
    if (focus) stage.querySelector(`[data-id="${CSS.escape(focus)}"]`)?.focus();
    put(stage, 'data-pumps', list.length);
    drawnAt = performance.now();
    took = drawnAt - begun;
  }
  update();
  return {element, update, close: () => turned.disconnect()};
}
