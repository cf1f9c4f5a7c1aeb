// Who watches: search by id, and kick.

import {h, say, put, keyed, confirm, toast, dialog} from './dom.js';
import {count, some, bytes, since, lag, on} from './format.js';
import * as api from './api.js';
import {fleet} from './fleet.js';

const healthKinds = {good: 'good', poor: 'warn', gone: 'off', unknown: 'off'};

function name(v) {
  return v.client || `${v.pump}/${v.id}`;
}

async function kick(v, all) {
  const whom = all ? `everybody with the id ${v.client}` : `viewer ${name(v)}`;
  if (!await confirm('Cut off', `Cut off ${whom}? The player sees the stream end, and may come back.`, 'Cut off', true)) return false;
  try {
    const k = await api.remove(all ? api.address('clients', v.client) : api.address('viewers', v.pump, v.id));
    toast(k.unreachable ? `${count(k.viewers.length)} cut off; not reached: ${k.unreachable.join(', ')}` : `${count(k.viewers.length)} cut off`, Boolean(k.unreachable));
    return true;
  } catch (e) {
    toast(`Nobody was cut off: ${e.message}`, true);
    return false;
  }
}

function details(v, steer) {
  const rows = h('dl', {class: 'facts-list'});
  const note = h('p', {class: 'dim'}, 'Asking the pump …');
  const show = (x) => rows.replaceChildren(...[
    ['Id given from outside', x.client || 'none'], ['Pump', `${fleet.title(x.pump)} (its id: ${x.id})`], ['Stream', x.stream],
    ['Address', x.address + (x.tls ? ', TLS' : '')], ['Player', x.agent || 'does not say'], ['Since', on(x.since)],
    ['Received', bytes(x.bytes)], ['Behind the source', lag(x.lag_ms)], ['Packets skipped', count(x.skipped)], ['Health', x.health === 'unknown' ? 'unknown: the pump is not heard now' : x.health], ['Left', x.left ? `${on(x.left)}: ${x.reason}` : null],
  ].filter(([, t]) => t !== null).map(([k, t]) => h('div', null, h('dt', null, k), h('dd', null, t))));
  show(v);
  const again = async () => {
    try {
      const c = await api.get(api.address('viewers', v.pump, v.id));
      show(c.viewers[0]);
      say(note, c.fresh ? 'The pump was asked just now.' : 'The pump cannot be asked: this is what it said last.');
    } catch (e) {
      say(note, e.status === 404 ? 'Is not there any more.' : e.message);
    }
  };
  if (v.left) say(note, '');
  else again();
  dialog(name(v), (close) => h('div', null, rows, note, h('div', {class: 'buttons'},
    h('button', {type: 'button', onclick: () => close()}, 'Close'),
    !v.left && h('button', {type: 'button', onclick: again}, 'Ask again'),
    steer && !v.left && h('button', {type: 'button', class: 'danger', onclick: async () => {
      close();
      await kick(v, false);
    }}, 'Cut off'),
    steer && !v.left && v.client && h('button', {type: 'button', class: 'danger', onclick: async () => {
      close();
      await kick(v, true);
    }}, `Cut off all with this id`))));
}

export function viewersView({steer, args}) {
  const search = h('input', {type: 'search', 'aria-label': 'Find by id, address, stream or player', placeholder: 'Id, address, stream or player', value: args[0] || '', oninput: () => later()});
  const pump = h('select', {'aria-label': 'Pump', onchange: () => load()});
  const state = h('select', {'aria-label': 'Who', onchange: () => load()}, h('option', {value: 'watching'}, 'watching now'), h('option', {value: 'poor'}, 'watching poorly'), h('option', {value: 'gone'}, 'who left'));
  const facts = h('p', {class: 'dim', role: 'status'});
  const body = h('tbody');
  const table = h('table', {class: 'stack'}, h('caption', {class: 'unseen'}, 'Viewers'),
    h('thead', null, h('tr', null, ...['Id', 'Stream', 'Pump', 'Address', 'Player', 'For', 'Received', 'Behind', 'Health', ''].map((t, i) => h('th', {scope: 'col', class: i > 4 && i < 8 ? 'n' : null}, t || h('span', {class: 'unseen'}, 'Actions'))))), body);
  const more = h('button', {type: 'button', hidden: true, onclick: () => {
    limit += 200;
    load();
  }}, 'Show more');
  const element = h('div', null, h('div', {class: 'bar-of-tools'}, h('h1', null, 'Viewers'), search, pump, state), facts, h('div', {class: 'scroll'}, table), more);
  let limit = 200;
  let timer;
  let busy = false;
  let again = false;
  let closed = false;
  let last = null;
  let took = 0;

  function later() {
    clearTimeout(timer);
    timer = setTimeout(load, 200);
  }

  function row(v) {
    const cell = (label, ...kids) => h('td', {'data-label': label}, ...kids);
    const t = {};
    for (const k of ['stream', 'pump', 'address', 'agent', 'for', 'bytes', 'lag', 'health']) t[k] = h('span');
    const open = h('button', {type: 'button', class: 'link', onclick: () => details(now, steer)});
    let now = v;
    const end = steer && h('button', {type: 'button', class: 'danger small', onclick: async () => { if (await kick(now, false)) load(); }}, 'Cut off');
    const e = h('tr', null, h('th', {scope: 'row', 'data-label': 'Id'}, open), cell('Stream', t.stream), cell('Pump', t.pump), cell('Address', t.address),
      cell('Player', t.agent), cell('For', t.for), cell('Received', t.bytes), cell('Behind', t.lag), cell('Health', t.health), cell('', end));
    for (const i of [5, 6, 7]) e.children[i].classList.add('n');
    e.children[4].classList.add('agent');
    t.health.className = 'badge';
    return {element: e, update: (x) => {
      now = x;
      say(open, x.client || x.id);
      say(t.stream, x.stream);
      say(t.pump, fleet.title(x.pump));
      say(t.address, x.address + (x.tls ? ' TLS' : ''));
      say(t.agent, x.agent);
      say(t.for, x.left ? since(x.since, new Date(x.left)) : since(x.since, fleet.now()));
      say(t.bytes, bytes(x.bytes));
      say(t.lag, x.left ? '' : lag(x.lag_ms));
      say(t.health, x.left ? x.reason || 'left' : x.health);
      put(t.health, 'data-kind', healthKinds[x.health]);
      if (end) {
        end.hidden = Boolean(x.left);
        put(end, 'aria-label', `Cut off ${name(x)}`);
      }
    }};
  }

  async function load() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    const begun = performance.now();
    try {
      const poor = state.value === 'poor';
      const c = await api.get('/viewers', {search: search.value.trim(), pump: pump.value, state: poor ? 'watching' : state.value, health: poor ? 'poor' : '', limit});
      if (closed) return;
      keyed(body, c.viewers, (v) => `${v.pump}/${v.id}/${v.left || ''}`, row);
      say(facts, c.all === 0 ? 'Nobody fits.' : c.all > c.viewers.length ? `${count(c.viewers.length)} of ${count(c.all)} are shown` : some(c.all, 'viewer'));
      more.hidden = c.all <= c.viewers.length || limit >= 10000;
    } catch (e) {
      if (!closed && e.status !== 401) say(facts, `The list cannot be read: ${e.message}`);
    }
    took = performance.now() - begun;
    busy = false;
    if (again) {
      again = false;
      later();
    }
  }

  let ticks = 0;
  function update(what) {
    const all = [...fleet.pumps.keys(), ...fleet.relays.keys()];
    const names = all.join();
    if (names !== last) {
      last = names;
      const was = pump.value || args[1] || '';
      pump.replaceChildren(h('option', {value: ''}, 'all pumps'), ...all.map((id) => h('option', {value: id}, fleet.title(id))));
      pump.value = all.includes(was) ? was : '';
    }
    if (what === 'figures' && ++ticks % Math.max(2, Math.ceil(took / 100)) === 0 && !busy) load(); // a long list is asked for less often
  }
  update();
  load();
  return {element, update, close: () => {
    closed = true;
    clearTimeout(timer);
  }};
}
