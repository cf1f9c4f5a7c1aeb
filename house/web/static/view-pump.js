// One pump: what it does, and what an operator may do with it.

import {h, say, put, keyed, confirm, dialog, field, toast} from './dom.js';
import {count, some, rate, bytes, duration, on, bandwidth} from './format.js';
import * as api from './api.js';
import {fleet} from './fleet.js';
import {Chart} from './chart.js';
import {badge, condition, meter} from './view-fleet.js';
import {eventRow} from './view-events.js';

async function attempt(what, f) {
  try {
    const r = await f();
    if (what) toast(what);
    return r === undefined ? true : r;
  } catch (e) {
    toast([e.message, ...(e.details || [])].join('\n'), true);
    return null;
  }
}

/** once shows a secret that is shown only once. */
export const once = (title, text, secret) => dialog(title, (close) => {
  const input = h('textarea', {readonly: true, rows: '3', 'aria-label': title}, secret);
  return h('div', null, h('p', null, text), input, h('div', {class: 'buttons'},
    h('button', {type: 'button', onclick: () => {
      input.select();
      navigator.clipboard?.writeText(secret).then(() => toast('Copied.'), () => {});
    }}, 'Copy'),
    h('button', {type: 'button', class: 'primary', onclick: () => close()}, 'I have it')));
});

/** edit changes the settings of a pump, or makes a new one. */
export async function edit(id) {
  let was = {settings: {enabled: true}};
  let etag = '*';
  if (id) {
    const got = await attempt('', () => api.whole(api.address('pumps', id)));
    if (!got) return;
    was = got.body;
    etag = got.etag;
  }
  const x = was.settings;
  const input = {
    id: h('input', {required: true, pattern: '[A-Za-z0-9_\\-.]{1,64}', value: id || '', disabled: Boolean(id)}),
    title: h('input', {value: x.title || ''}),
    url: h('input', {value: x.url || '', placeholder: 'http://192.0.2.1:8086'}),
    parents: h('input', {value: (x.parents || []).join(', ')}),
    networks: h('textarea', {rows: '4'}, (x.networks || []).map((n) => n.cidr + (n.priority ? ` ${n.priority}` : '')).join('\n')),
    viewers: h('input', {type: 'number', min: '0', value: x.max_viewers || 0}),
    bandwidth: h('input', {value: x.max_bandwidth ? rate(x.max_bandwidth) : '0'}),
    enabled: h('input', {type: 'checkbox', checked: x.enabled !== false}),
    draining: h('input', {type: 'checkbox', checked: Boolean(x.draining)}),
  };
  const error = h('p', {class: 'error', role: 'alert'});
  await dialog(id ? `Settings of ${was.title}` : 'A new pump', (close) => h('form', {onsubmit: async (e) => {
    e.preventDefault();
    const most = bandwidth(input.bandwidth.value);
    if (Number.isNaN(most)) {
      say(error, 'The bandwidth is no number of bit/s, as in 200 Mbit/s.');
      return;
    }
    const networks = input.networks.value.split('\n').map((l) => l.trim()).filter(Boolean).map((l) => {
      const [cidr, priority] = l.split(/\s+/);
      return {cidr, priority: Number(priority) || 0};
    });
    try {
      await api.change(api.address('pumps', id || input.id.value.trim()), {
        title: input.title.value.trim(), url: input.url.value.trim(), parents: input.parents.value.split(/[\s,]+/).filter(Boolean), networks,
        max_viewers: Number(input.viewers.value), max_bandwidth: most, enabled: input.enabled.checked, draining: input.draining.checked,
      }, etag === '*' ? undefined : etag);
      toast('Changed.');
      close();
    } catch (err) {
      say(error, [err.message, ...(err.details || [])].join('\n'));
    }
  }},
  field('Id', input.id, id ? null : 'letters, digits, _, - and .'), field('Title', input.title), field('Address', input.url, 'where viewers and other pumps reach it; empty: as it says itself'),
  field('Parents', input.parents, 'ids, in order of preference; empty: the original sources'),
  field('Networks', input.networks, 'one a line, a priority after it if you like: the higher one wins'),
  h('div', {class: 'two'}, field('Most viewers', input.viewers, '0: no limit'), field('Most bandwidth', input.bandwidth, '0: no limit')),
  h('div', {class: 'two'}, field('Enabled', input.enabled), field('Draining', input.draining)),
  error, h('div', {class: 'buttons'}, h('button', {type: 'button', onclick: () => close()}, 'Cancel'), h('button', {type: 'submit', class: 'primary'}, 'Save'))));
}

function actions(id, go) {
  const drain = h('button', {type: 'button', onclick: async () => {
    const p = fleet.pumps.get(id);
    const to = !p.draining;
    if (to && !await confirm('Drain', `Send nobody new to ${p.title}? Who watches there goes on; pumps below go elsewhere if they can.`, 'Drain')) return;
    await attempt(to ? 'It is draining.' : 'It takes viewers again.', () => api.change(api.address('pumps', id, 'draining'), {draining: to}));
  }});
  const button = (text, f, danger) => h('button', {type: 'button', class: danger ? 'danger' : null, onclick: f}, text);
  const element = h('div', {class: 'buttons left'}, drain,
    button('Settings', () => edit(id)),
    button('Invite', async () => {
      const i = await attempt('', () => api.post(api.address('pumps', id, 'invite')));
      if (i) await once('Invite', `Put this into house.invite of the pump's configuration. It is good once, and shown once.`, i.invite);
    }),
    button('New key', async () => {
      if (!await confirm('New key', 'Make a new key? The old one, and what the pump began with it, end at once.', 'Make a new key', true)) return;
      const k = await attempt('', () => api.change(api.address('pumps', id, 'key')));
      if (k) await once('Key', `Put this into house.key of the pump's configuration. It is shown once.`, k.key);
    }),
    button('Take off the roster', async () => {
      if (!await confirm('Take off the roster', `Take ${fleet.title(id)} off the roster, with its key and its certificates? It loses its streams.`, 'Take off', true)) return;
      if (await attempt('It is off the roster.', () => api.remove(api.address('pumps', id)))) go();
    }, true));
  return {element, update: (p) => say(drain, p.draining ? 'Take viewers again' : 'Drain')};
}

function streamRow(id) {
  return (x) => {
    const t = {};
    for (const k of ['state', 'viewers', 'in', 'out', 'from', 'up']) t[k] = h('span');
    const name = h('a', {href: `#/tree/${encodeURIComponent(x.path)}`}, x.path);
    t.state.className = 'badge';
    const cell = (label, e, cls) => h('td', {'data-label': label, class: cls}, e);
    const element = h('tr', null, h('th', {scope: 'row', 'data-label': 'Stream'}, name), cell('State', t.state), cell('Viewers', t.viewers, 'n'), cell('In', t.in, 'n'), cell('Out', t.out, 'n'), cell('For', t.up, 'n'), cell('From', t.from, 'agent'));
    return {element, update: (y) => {
      say(t.state, y.state);
      put(t.state, 'data-kind', {live: 'good', fallback: 'warn', connecting: 'warn', offline: 'bad'}[y.state]);
      say(t.viewers, count(y.viewers));
      say(t.in, rate(y.in_bps));
      say(t.out, rate(y.out_bps));
      say(t.up, y.up_s ? duration(y.up_s) : '');
      say(t.from, y.parent ? fleet.title(y.parent) : y.source);
    }};
  };
}

export function pumpView({steer, args}) {
  const id = args[0] || '';
  const go = () => { location.hash = '#/fleet'; };
  const title = h('h1');
  const state = badge();
  const facts = h('dl', {class: 'facts-list'});
  const faults = h('ul', {class: 'faults', hidden: true});
  const charts = [['viewers', count, 'Viewers'], ['out_bps', rate, 'Throughput'], ['in_bps', rate, 'From the source'], ['cpu', (n) => `${n.toFixed(2)} processors`, 'Processor']].map(([f, format, name]) => {
    const now = h('strong');
    const c = new Chart(f, format, name);
    return {element: h('figure', {class: 'tile'}, h('figcaption', null, name, ' ', now), c.element), update: (list, limit) => {
      c.update(list, limit);
      const last = list[list.length - 1];
      say(now, last && last.up ? format(last[f]) : '');
    }};
  });
  const used = meter('Viewers');
  const buttons = steer && actions(id, go);
  const body = h('tbody');
  const events = h('ol', {class: 'events', 'aria-label': 'Events of this pump, newest first'});
  const element = h('div', null, h('p', null, h('a', {href: '#/fleet'}, '← Fleet')), h('div', {class: 'bar-of-tools'}, title, state.element), faults, buttons && buttons.element,
    h('div', {class: 'tiles'}, ...charts.map((c) => c.element)), used.element, facts,
    h('h2', null, 'Streams'), h('div', {class: 'scroll'}, h('table', {class: 'stack'}, h('caption', {class: 'unseen'}, 'Streams of this pump'),
      h('thead', null, h('tr', null, ...['Stream', 'State', 'Viewers', 'In', 'Out', 'For', 'From'].map((t, i) => h('th', {scope: 'col', class: i > 1 && i < 6 ? 'n' : null}, t)))), body)),
    h('p', null, h('a', {href: `#/viewers//${encodeURIComponent(id)}`}, 'Viewers of this pump')),
    h('h2', null, 'Events'), events);
  const view = {element, title: id, update: (what) => {
    const p = fleet.pumps.get(id);
    if (!p) {
      if (fleet.known) element.replaceChildren(h('p', {class: 'panel'}, `The roster has no pump ${id}. `, h('a', {href: '#/fleet'}, 'To the fleet')));
      return;
    }
    say(title, p.title);
    state.update(condition(p));
    buttons && buttons.update(p);
    fleet.remember(id);
    const list = fleet.history.get(id) || [];
    charts[0].update(list, p.max_viewers);
    charts[1].update(list, p.max_out_bps);
    charts[2].update(list, 0);
    charts[3].update(list, p.processors);
    used.update(p.viewers, p.max_viewers);
    const rows = [
      ['Id', p.id], ['Address', p.url || 'not known'], ['Parents', p.parents.map((x) => fleet.title(x)).join(', ') || 'none: the original sources'],
      ['Viewers', `${count(p.viewers)}${p.max_viewers ? ` of ${count(p.max_viewers)}` : ''}${p.downstream ? `, and ${some(p.downstream, 'stream')} to pumps below` : ''}`],
      ['Most bandwidth', p.max_out_bps ? rate(p.max_out_bps) : 'no limit'], ['Memory', bytes(p.memory)], ['Running for', duration(p.uptime_s)],
      ['Joined', `${count(p.joined)}, refused ${count(p.refused)}`], ['Packets skipped', count(p.skipped)], [p.state === 'up' ? 'Up since' : 'Down since', p.since ? on(p.since) : 'not heard since the house was started'],
    ];
    keyed(facts, rows, (r) => r[0], (r) => {
      const dd = h('dd');
      return {element: h('div', null, h('dt', null, r[0]), dd), update: (x) => say(dd, x[1])};
    });
    const wrong = [...(p.config_fault ? [`Does not use its newest configuration: ${p.config_fault}`] : []), ...p.faults];
    faults.hidden = !wrong.length;
    keyed(faults, wrong, (t) => t, (t) => ({element: h('li', null, t), update: () => {}}));
    keyed(body, p.streams, (x) => x.path, streamRow(id));
    if (what !== 'figures') keyed(events, fleet.events.filter((e) => e.pump === id).slice(0, 50), (e) => e.number, eventRow);
  }};
  view.update();
  return view;
}
