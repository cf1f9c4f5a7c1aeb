// What another roster would do to the viewers of now, before it is put in force.

import {h, s, say, put, confirm, field, toast} from './dom.js';
import {count, some} from './format.js';
import * as api from './api.js';
import {fleet} from './fleet.js';
import {flow, nowhere} from './flow.js';

const size = {height: 220, thinnest: 3, label: 20, gap: 14, top: 8, most: 16};
const wide = {width: 680, side: 190, letters: 24}; // side is for the names of a column
const narrow = {width: 312, side: 92, letters: 10};
const short = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);

const people = (n) => some(n, 'viewer');
const when = (atOnce) => (atOnce ? 'at once' : 'when they come again');
const named = (id) => (id === nowhere ? 'nowhere' : fleet.title(id));

/** all are the moves and refusals of a plan, as bands. */
const all = (p) => [...p.moves, ...p.refusals.map((r) => ({...r, to: nowhere}))];

function picture(p) {
  const f = flow(all(p), size);
  const {width, side, letters} = innerWidth < 600 ? narrow : wide;
  const bar = 10;
  const x1 = side + bar;
  const x2 = width - side - bar;
  const middle = (x1 + x2) / 2;
  const node = (n, x, anchor, at) => s('g', {class: 'flow-node', 'data-kind': n.id === nowhere ? 'bad' : null},
    s('rect', {x, y: n.y, width: bar, height: n.height, rx: 3}),
    s('text', {x: at, y: n.y + n.height / 2 + 5, 'text-anchor': anchor}, `${short(named(n.id), letters)} `, s('tspan', {class: 'dim'}, count(n.viewers)), s('title', null, named(n.id))));
  return s('svg', {class: 'tree flow', viewBox: `0 0 ${width} ${f.height + 8}`, width, height: f.height + 8, role: 'img', 'aria-label': `${people(p.move)} would move and ${people(p.refuse)} would find no pump; the table says who`},
    ...f.bands.map((b) => s('path', {class: 'band', 'data-kind': b.to === nowhere ? 'bad' : null, d: `M${x1} ${b.y1}C${middle} ${b.y1} ${middle} ${b.y2} ${x2} ${b.y2}`, 'stroke-width': b.thick},
      s('title', null, `${named(b.from)} → ${named(b.to)}: ${people(b.viewers)}, ${when(b.at_once)}`))),
    ...f.left.map((n) => node(n, side, 'end', side - 8)), ...f.right.map((n) => node(n, x2, 'start', x2 + bar + 8)));
}

function table(title, heads, rows) {
  return h('div', {class: 'scroll'}, h('table', {class: 'stack'}, h('caption', {class: 'unseen'}, title),
    h('thead', null, h('tr', null, ...heads.map((t) => h('th', {scope: 'col', class: t === 'Viewers' ? 'n' : null}, t)))),
    h('tbody', null, ...rows.map((cells) => h('tr', null, ...cells.map((c, i) => h(i ? 'td' : 'th', {scope: i ? null : 'row', 'data-label': heads[i], class: heads[i] === 'Viewers' ? 'n' : null}, c)))))));
}

function tile(name, n, small, kind) {
  return h('div', {class: 'tile', 'data-kind': kind}, h('dt', null, name), h('dd', {class: 'big'}, count(n)), h('dd', {class: 'dim'}, small));
}

function expectations(p) {
  if (!p.expected) return h('p', {class: 'dim'}, 'The roster expects nothing of itself (expect).');
  const met = p.expected - p.unmet.length;
  return h('div', null, h('p', null, h('span', {class: 'badge', 'data-kind': p.unmet.length ? 'bad' : 'good'}, `${count(met)} of ${count(p.expected)} expectations are met`)),
    p.unmet.length ? h('ul', {class: 'faults'}, ...p.unmet.map((u) => h('li', null, u))) : null);
}

function result(p) {
  const beyond = flow(all(p), size).rest;
  const atOnce = all(p).filter((m) => m.at_once).reduce((n, m) => n + m.viewers, 0);
  return h('section', {class: 'plan', 'aria-label': 'The plan'},
    h('dl', {class: 'tiles'}, tile('Stay', p.stay, `of ${people(p.viewers)}`), tile('Move', p.move, 'to another pump'), tile('Refused', p.refuse, 'no pump for them', p.refuse ? 'warn' : null), tile('At once', atOnce, 'the others when they come again', atOnce ? 'warn' : null)),
    expectations(p),
    h('h2', null, 'Who moves'),
    p.move + p.refuse === 0 ? h('p', {class: 'panel dim'}, 'Nobody.') : h('div', null,
      h('div', {class: 'stage', tabindex: '0', role: 'region', 'aria-label': 'Picture of the moves, can be scrolled'}, picture(p)),
      beyond ? h('p', {class: 'dim'}, `${people(beyond)} more in smaller moves are in the table alone.`) : null,
      table('Moves', ['From', 'To', 'Viewers', 'When', 'Why'], [...p.moves.map((m) => [named(m.from), named(m.to), count(m.viewers), when(m.at_once), '']), ...p.refusals.map((r) => [named(r.from), 'nowhere', count(r.viewers), when(r.at_once), r.why])])),
    h('h2', null, 'Pumps'),
    p.pumps.length ? table('Pumps', ['Pump', 'What changes'], p.pumps.map((c) => [named(c.id), c.what])) : h('p', {class: 'panel dim'}, 'No pump changes.'),
    p.left_out ? h('p', {class: 'dim'}, `${count(p.left_out)} more rows are not shown; they are in the sums.`) : null);
}

export function planView({steer}) {
  const text = h('textarea', {rows: '10', class: 'code', spellcheck: 'false', oninput: () => changed()});
  const file = h('input', {type: 'file', accept: '.json,.yaml,.yml,application/json', onchange: async () => {
    if (!file.files.length) return;
    text.value = await file.files[0].text();
    name = file.files[0].name.slice(0, 200);
    changed();
  }});
  const error = h('p', {class: 'error', role: 'alert'});
  const told = h('div', {role: 'status'});
  const apply = h('button', {type: 'button', class: 'danger', disabled: true, onclick: () => doApply()}, 'Apply');
  const now = h('button', {type: 'button', onclick: async () => {
    try {
      text.value = (await api.whole('/roster')).text;
      name = 'roster.json';
      changed();
    } catch (e) {
      say(error, e.message);
    }
  }}, 'Begin with the roster in force');
  let name = 'roster.json';
  let planned = null; // {text, etag, plan}

  function changed() {
    planned = null;
    apply.disabled = true;
    say(error, '');
    put(told, 'data-stale', told.childElementCount ? '' : null);
  }

  async function make() {
    changed();
    const asked = text.value;
    try {
      const got = await api.plan(asked, name);
      if (asked !== text.value) return;
      planned = {text: asked, etag: got.etag, plan: got.body};
      told.replaceChildren(result(got.body));
      put(told, 'data-stale', null);
      apply.disabled = false;
    } catch (e) {
      told.replaceChildren();
      say(error, [e.message, ...(e.details || [])].join('\n'));
    }
  }

  async function doApply() {
    if (!planned) return;
    const {plan} = planned;
    const what = [`${people(plan.move)} would move, ${people(plan.refuse)} would find no pump, ${count(plan.pumps.length)} ${plan.pumps.length === 1 ? 'pump changes' : 'pumps change'}.`,
      plan.unmet.length ? `${count(plan.unmet.length)} ${plan.unmet.length === 1 ? 'expectation is' : 'expectations are'} not met.` : ''].filter(Boolean).join(' ');
    if (!await confirm('Apply this roster', `${what} Pumps that are not in it are taken off.`, 'Apply', true)) return;
    try {
      await api.change(`/roster?name=${encodeURIComponent(name)}`, planned.text, planned.etag);
      toast('The roster is as the file says.');
      changed();
    } catch (e) {
      say(error, [e.status === 412 ? 'The roster has changed since this was planned: plan again.' : e.message, ...(e.details || [])].join('\n'));
    }
  }

  const element = h('div', null, h('div', {class: 'bar-of-tools'}, h('h1', null, 'Plan a roster')),
    h('p', {class: 'dim'}, 'What another roster would do to those who watch now. Nothing is put in force before you apply it.'),
    h('form', {class: 'panel', onsubmit: (e) => { e.preventDefault(); make(); }},
      field('The new roster', text, 'JSON or YAML, in the form of the roster\'s file.'), field('From a file', file),
      error, h('div', {class: 'buttons left'}, h('button', {type: 'submit', class: 'primary'}, 'Plan'), steer && apply, steer && now)), told);
  if (!steer) element.append(h('p', {class: 'dim'}, 'To apply a roster wants the role steer.'));
  return {element};
}
