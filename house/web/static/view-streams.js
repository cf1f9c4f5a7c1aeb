// The streams of the fleet.

import {h, say, put, keyed, confirm, dialog, field, toast} from './dom.js';
import {count, rate} from './format.js';
import * as api from './api.js';
import {fleet} from './fleet.js';

const example = {name: 'Studio', type: 'mmsh_pull', path: 'studio', source_options: {host: '192.0.2.7', port: 8080, path: '/live'}};

async function edit(path) {
  let text = JSON.stringify(example, null, 2);
  let etag;
  if (path) {
    try {
      const got = await api.whole(api.address('streams', path));
      text = JSON.stringify(got.body.settings, null, 2);
      etag = got.etag;
    } catch (e) {
      toast(e.message, true);
      return;
    }
  }
  const input = h('textarea', {rows: '18', class: 'code', spellcheck: 'false'}, text);
  const error = h('p', {class: 'error', role: 'alert'});
  await dialog(path ? `Settings of ${path}` : 'A new stream', (close) => h('form', {onsubmit: async (e) => {
    e.preventDefault();
    try {
      const wanted = JSON.parse(input.value);
      await api.change(api.address('streams', path || wanted.path || ''), input.value, etag);
      toast('Changed; the pumps have it within two seconds.');
      close();
    } catch (err) {
      say(error, [err.message, ...(err.details || [])].join('\n'));
    }
  }},
  field('As an entry of streams in the configuration of a pump', input, 'JSON. Secrets are ***, and stay what they are if you leave them so.'), error,
  h('div', {class: 'buttons'}, h('button', {type: 'button', onclick: () => close()}, 'Cancel'), h('button', {type: 'submit', class: 'primary'}, 'Save'))));
}

async function remove(path) {
  if (!await confirm('Take off', `Take the stream ${path} off all pumps? Who watches it is cut off.`, 'Take off', true)) return;
  try {
    await api.remove(api.address('streams', path));
    toast('It is off.');
  } catch (e) {
    toast(e.message, true);
  }
}

function row(steer) {
  return (x) => {
    const t = {};
    for (const k of ['type', 'state', 'pumps', 'viewers', 'bps', 'out']) t[k] = h('span');
    t.state.className = 'badge';
    const name = h('small', {class: 'dim'});
    const cell = (label, e, cls) => h('td', {'data-label': label, class: cls}, e);
    const tools = steer && x.type && h('div', {class: 'buttons left'},
      h('button', {type: 'button', class: 'small', 'aria-label': `Settings of ${x.path}`, onclick: () => edit(x.path)}, 'Settings'),
      h('button', {type: 'button', class: 'danger small', 'aria-label': `Take ${x.path} off`, onclick: () => remove(x.path)}, 'Take off'));
    const element = h('tr', null, h('th', {scope: 'row', 'data-label': 'Stream'}, h('a', {href: `#/tree/${encodeURIComponent(x.path)}`}, x.path), ' ', name),
      cell('Type', t.type), cell('State', t.state), cell('Pumps', t.pumps, 'n'), cell('Viewers', t.viewers, 'n'), cell('Rate', t.bps, 'n'), cell('Out', t.out, 'n'), cell('', tools));
    return {element, update: (y) => {
      say(name, y.name !== y.path ? y.name : '');
      say(t.type, y.type || `only in pumps' own files`);
      const c = !y.enabled ? ['off', 'disabled'] : y.pumps ? ['good', 'delivered'] : ['bad', 'not delivered'];
      put(t.state, 'data-kind', c[0]);
      say(t.state, c[1]);
      say(t.pumps, count(y.pumps));
      say(t.viewers, count(y.viewers));
      say(t.bps, rate(y.bps));
      say(t.out, rate(y.out_bps));
    }};
  };
}

export function streamsView({steer}) {
  const body = h('tbody');
  const none = h('p', {class: 'panel dim'}, 'There are no streams yet.');
  const element = h('div', null, h('div', {class: 'bar-of-tools'}, h('h1', null, 'Streams'), steer && h('button', {type: 'button', onclick: () => edit()}, 'Add a stream')),
    h('div', {class: 'scroll'}, h('table', {class: 'stack'}, h('caption', {class: 'unseen'}, 'Streams'),
      h('thead', null, h('tr', null, ...['Stream', 'Type', 'State', 'Pumps', 'Viewers', 'Rate', 'Out', ''].map((t, i) => h('th', {scope: 'col', class: i > 2 && i < 7 ? 'n' : null}, t || h('span', {class: 'unseen'}, 'Actions'))))), body)), none);
  const make = row(steer);
  function update() {
    keyed(body, fleet.streams, (x) => `${x.path} ${x.type}`, make);
    none.hidden = fleet.streams.length > 0 || !fleet.known;
  }
  update();
  return {element, update};
}
