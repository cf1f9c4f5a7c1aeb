// The fleet at a glance.

import {h, say, put, keyed} from './dom.js';
import {count, some, rate} from './format.js';
import {fleet} from './fleet.js';
import {Chart} from './chart.js';

export const stateWords = {up: 'up', down: 'down', never: 'not heard yet'};

/** condition is what a person has to know of a pump first. */
export function condition(p) {
  if (!p.enabled) return {kind: 'off', word: 'disabled'};
  if (p.state !== 'up') return {kind: p.state === 'down' ? 'bad' : 'off', word: stateWords[p.state]};
  if (p.config_fault || p.faults.length) return {kind: 'warn', word: 'up, with faults'};
  if (p.draining) return {kind: 'warn', word: 'draining'};
  if (p.full) return {kind: 'warn', word: 'full'};
  return {kind: 'good', word: 'up'};
}

const order = {bad: 0, warn: 1, good: 2, off: 3};

export function badge() {
  const element = h('span', {class: 'badge'});
  return {element, update: (c) => {
    put(element, 'data-kind', c.kind);
    say(element, c.word);
  }};
}

/** Meter shows how much of a limit is used. */
export function meter(name) {
  const bar = h('span', {class: 'bar'});
  const element = h('div', {class: 'meter', role: 'meter', 'aria-label': name, 'aria-valuemin': '0'}, bar);
  return {element, update: (used, most) => {
    const share = most > 0 ? Math.min(1, used / most) : 0;
    bar.style.width = `${(share * 100).toFixed(1)}%`;
    put(element, 'aria-valuenow', used);
    put(element, 'aria-valuemax', most > 0 ? most : Math.max(used, 1));
    put(element, 'aria-valuetext', most > 0 ? `${count(used)} of ${count(most)}` : `${count(used)}, no limit`);
    put(element, 'data-kind', share >= 1 ? 'bad' : share > 0.85 ? 'warn' : 'good');
    put(element, 'data-open', most > 0 ? null : '');
  }};
}

function card(p) {
  const title = h('a', {href: `#/pump/${encodeURIComponent(p.id)}`});
  const id = h('small', {class: 'dim'});
  const state = badge();
  const viewers = h('strong');
  const of = h('span', {class: 'dim'});
  const used = meter(`Viewers of ${p.title}`);
  const out = h('strong');
  const rest = h('p', {class: 'dim facts'});
  const chart = new Chart('out_bps', rate, `Throughput of ${p.title}`);
  const element = h('li', {class: 'card', 'data-id': p.id},
    h('div', {class: 'head'}, h('h3', null, title, ' ', id), state.element),
    h('p', {class: 'row'}, h('span', null, viewers, ' ', of), h('span', {class: 'out'}, out)),
    used.element, chart.element, rest);
  return {element, update: (q) => {
    say(title, q.title);
    say(id, q.title === q.id ? '' : q.id);
    const c = condition(q);
    state.update(c);
    put(element, 'data-kind', c.kind);
    say(viewers, count(q.viewers));
    say(of, `${q.max_viewers ? `of ${count(q.max_viewers)} ` : ''}${(q.max_viewers || q.viewers) === 1 ? 'viewer' : 'viewers'}`);
    used.update(q.viewers, q.max_viewers);
    say(out, `↑ ${rate(q.out_bps)}`);
    const on = q.streams.filter((x) => x.state === 'live' || x.state === 'fallback').length;
    say(rest, q.state === 'up'
      ? [`${on} of ${some(q.streams.length, 'stream')}`, q.downstream ? `${count(q.downstream)} to pumps below` : '', `↓ ${rate(q.in_bps)}`, `CPU ${Math.round(100 * q.cpu / Math.max(1, q.processors))} %`].filter(Boolean).map((x) => x.replaceAll(' ', '\u00a0')).join(' · ')
      : q.parents.length ? `below ${q.parents.map((x) => fleet.title(x)).join(', ')}` : 'at the top');
    if (element.seen !== false) chart.update(fleet.history.get(q.id) || [], q.max_out_bps);
  }};
}

function tile(name, chart) {
  const big = h('dd', {class: 'big'});
  const small = h('dd', {class: 'dim'});
  return {element: h('div', {class: 'tile'}, h('dt', null, name), big, small, chart && h('dd', {class: 'spark'}, chart.element)), big, small, chart};
}

const atOnce = 60; // cards: each is some work every second

export function fleetView() {
  const viewers = tile('Viewers', new Chart('viewers', count, 'Viewers of the fleet'));
  const out = tile('Throughput', new Chart('out_bps', rate, 'Throughput of the fleet'));
  const pumps = tile('Pumps');
  const streams = tile('Streams');
  const search = h('input', {type: 'search', placeholder: 'Find a pump', 'aria-label': 'Find a pump', oninput: () => { limit = atOnce; update(); }});
  const sort = h('select', {'aria-label': 'Order of the pumps', onchange: () => update()},
    h('option', {value: 'roster'}, 'as on the roster'), h('option', {value: 'trouble'}, 'trouble first'),
    h('option', {value: 'viewers'}, 'most viewers first'), h('option', {value: 'title'}, 'by name'));
  const list = h('ul', {class: 'cards', 'aria-label': 'Pumps'});
  const none = h('p', {class: 'panel dim', hidden: true});
  const rest = h('span', {class: 'dim', role: 'status'});
  const more = h('button', {type: 'button', hidden: true, onclick: () => {
    limit += atOnce;
    update();
  }}, 'Show more');
  let limit = atOnce;
  const watch = new IntersectionObserver((entries) => {
    for (const e of entries) {
      e.target.seen = e.isIntersecting;
      if (e.isIntersecting) fleet.remember(e.target.dataset.id);
    }
  }, {rootMargin: '300px'});
  const element = h('div', null, h('h1', {class: 'unseen'}, 'The fleet at a glance'),
    h('dl', {class: 'tiles'}, viewers.element, out.element, pumps.element, streams.element),
    h('div', {class: 'bar-of-tools'}, h('h2', null, 'Pumps'), search, sort), list, none, h('p', {class: 'more'}, rest, ' ', more));

  const sorts = {
    roster: null,
    trouble: (a, b) => order[condition(a).kind] - order[condition(b).kind],
    viewers: (a, b) => b.viewers - a.viewers,
    title: (a, b) => a.title.localeCompare(b.title),
  };

  function update() {
    const t = fleet.totals;
    if (!t) return;
    say(viewers.big, count(t.viewers));
    say(viewers.small, (t.max_viewers ? `of ${count(t.max_viewers)}` : 'watching now') + (t.relayed ? `, ${count(t.relayed)} by relay` : ''));
    say(out.big, rate(t.out_bps));
    say(out.small, `${rate(t.in_bps)} in`);
    say(pumps.big, `${count(t.up)} of ${count(t.pumps)}`);
    put(pumps.element, 'data-kind', t.up < t.pumps ? 'warn' : null);
    const down = [...fleet.pumps.values()].filter((p) => p.enabled && p.state === 'down');
    say(pumps.small, down.length ? `down: ${down.slice(0, 3).map((p) => p.title).join(', ')}${down.length > 3 ? ` and ${count(down.length - 3)} more` : ''}` : 'up');
    say(streams.big, `${count(t.streams_on)} of ${count(t.streams)}`);
    put(streams.element, 'data-kind', t.streams_on < t.streams ? 'warn' : null);
    say(streams.small, 'delivered somewhere');
    viewers.chart.update(fleet.total, 0);
    out.chart.update(fleet.total, 0);
    const want = search.value.trim().toLowerCase();
    let shown = [...fleet.pumps.values()].filter((p) => !want || p.id.toLowerCase().includes(want) || p.title.toLowerCase().includes(want));
    if (sorts[sort.value]) shown = shown.sort(sorts[sort.value]);
    const all = shown.length;
    shown = shown.slice(0, limit);
    more.hidden = all <= limit;
    say(rest, all > limit ? `${count(limit)} of ${count(all)} pumps are shown.` : '');
    keyed(list, shown, (p) => p.id, (p) => {
      const c = card(p);
      watch.observe(c.element);
      return c;
    });
    none.hidden = shown.length > 0;
    say(none, fleet.pumps.size ? 'No pump is called that.' : 'The roster has no pumps yet. Apply one under Plan, or add a pump with PUT /api/v1/pumps/ID.');
  }
  update();
  return {element, update, close: () => watch.disconnect()};
}
