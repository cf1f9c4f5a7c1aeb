// Tokens, certificates, signed addresses, and the roster as a file.

import {h, put, keyed, confirm, field, toast} from './dom.js';
import {on} from './format.js';
import * as api from './api.js';
import {fleet} from './fleet.js';
import {edit, once} from './view-pump.js';

const lives = [['86400', 'a day'], ['2592000', '30 days'], ['31536000', 'a year'], ['0', 'for ever']];

function failed(e) {
  if (e.status !== 401) toast([e.message, ...(e.details || [])].join('\n'), true);
}

function tokens() {
  const name = h('input', {required: true, maxlength: '128', placeholder: 'what it is for'});
  const role = h('select', null, h('option', {value: 'look'}, 'look'), h('option', {value: 'steer'}, 'steer'));
  const valid = h('select', null, ...lives.map(([v, t]) => h('option', {value: v}, t)));
  const body = h('tbody');
  const none = h('p', {class: 'dim', hidden: true}, 'There are no tokens.');
  const load = async () => {
    try {
      const list = await api.get('/tokens');
      none.hidden = list.length > 0;
      keyed(body, list, (t) => t.id, (t) => ({update: () => {}, element: h('tr', null,
        h('th', {scope: 'row', 'data-label': 'Token'}, t.name), h('td', {'data-label': 'Role'}, t.role), h('td', {'data-label': 'Made'}, on(t.created)), h('td', {'data-label': 'Ends'}, t.expires ? on(t.expires) : 'never'),
        h('td', null, h('button', {type: 'button', class: 'danger small', 'aria-label': `Take the token ${t.name} back`, onclick: async () => {
          if (!await confirm('Take back', `Take the token ${t.name} back? Programs that use it are locked out at once.`, 'Take back', true)) return;
          await api.remove(api.address('tokens', t.id)).then(() => toast('It is taken back.'), failed);
          load();
        }}, 'Take back')))}));
    } catch (e) {
      failed(e);
    }
  };
  load();
  return h('section', {class: 'panel'}, h('h2', null, 'Tokens for the API'),
    h('form', {class: 'inline', onsubmit: async (e) => {
      e.preventDefault();
      try {
        const t = await api.post('/tokens', {name: name.value.trim(), role: role.value, valid_s: Number(valid.value)});
        name.value = '';
        load();
        await once('Token', 'For programs: Authorization: Bearer, and this. It is shown once.', t.token);
      } catch (err) {
        failed(err);
      }
    }}, field('Name', name), field('Role', role), field('Good for', valid), h('button', {type: 'submit'}, 'Make a token')), none,
    h('div', {class: 'scroll'}, h('table', {class: 'stack'}, h('caption', {class: 'unseen'}, 'Tokens'), h('thead', null, h('tr', null, ...['Token', 'Role', 'Made', 'Ends'].map((t) => h('th', {scope: 'col'}, t)), h('th', {scope: 'col'}, h('span', {class: 'unseen'}, 'Actions')))), body)));
}

function certificates(steer) {
  const body = h('tbody');
  const none = h('p', {class: 'dim'}, 'No pump has a certificate. Invite one on its page.');
  const load = async () => {
    try {
      const list = await api.get('/certificates');
      none.hidden = list.length > 0;
      keyed(body, list, (c) => c.serial + (c.revoked || ''), (c) => {
        const over = new Date(c.not_after) < fleet.now();
        const b = h('span', {class: 'badge', 'data-kind': c.revoked ? 'bad' : over ? 'off' : 'good'}, c.revoked ? `revoked ${on(c.revoked)}` : over ? 'has ended' : 'good');
        return {update: () => {}, element: h('tr', null, h('th', {scope: 'row', 'data-label': 'Pump'}, fleet.title(c.pump)), h('td', {'data-label': 'Serial'}, h('code', null, c.serial.slice(0, 16))), h('td', {'data-label': 'Made'}, on(c.issued)), h('td', {'data-label': 'Ends'}, on(c.not_after)), h('td', {'data-label': 'State'}, b),
          h('td', null, steer && !c.revoked && h('button', {type: 'button', class: 'danger small', 'aria-label': `Revoke the certificate of ${fleet.title(c.pump)}`, onclick: async () => {
            if (!await confirm('Revoke', `Revoke this certificate of ${fleet.title(c.pump)}? The pump is locked out until it is invited anew.`, 'Revoke', true)) return;
            await api.remove(api.address('certificates', c.serial)).then(() => toast('It is revoked.'), failed);
            load();
          }}, 'Revoke')))};
      });
    } catch (e) {
      failed(e);
    }
  };
  load();
  return h('section', {class: 'panel'}, h('h2', null, 'Certificates of pumps'), none, h('div', {class: 'scroll'}, h('table', {class: 'stack'}, h('caption', {class: 'unseen'}, 'Certificates'),
    h('thead', null, h('tr', null, ...['Pump', 'Serial', 'Made', 'Ends', 'State'].map((t) => h('th', {scope: 'col'}, t)), h('th', {scope: 'col'}, h('span', {class: 'unseen'}, 'Actions')))), body)));
}

function signing() {
  const stream = h('select', null, ...fleet.streams.map((x) => h('option', {value: x.path}, x.path)));
  const client = h('input', {maxlength: '256'});
  const valid = h('select', null, ...[['3600', 'an hour'], ...lives.slice(0, 3)].map(([v, t]) => h('option', {value: v}, t)));
  const network = h('input', {placeholder: '192.0.2.0/24'});
  return h('section', {class: 'panel'}, h('h2', null, 'A signed address'), h('form', {class: 'inline', onsubmit: async (e) => {
    e.preventDefault();
    try {
      const a = await api.post('/sign', {stream: stream.value, client: client.value, valid_s: Number(valid.value), network: network.value.trim()});
      await once('Signed address', `Behind the address of the house. It is good until ${on(a.expires)}.`, a.address);
    } catch (err) {
      failed(err);
    }
  }}, field('Stream', stream), field('Id of the viewer', client), field('Only from', network), field('Good for', valid), h('button', {type: 'submit'}, 'Sign')));
}

function roster() {
  return h('section', {class: 'panel'}, h('h2', null, 'The roster'),
    h('p', null, h('a', {href: '/api/v1/roster', download: 'pumps.json'}, 'Save the roster as a file'), ' · ', h('a', {href: '#/plan'}, 'Plan and apply another one')),
    h('div', {class: 'buttons left'}, h('button', {type: 'button', onclick: () => edit()}, 'Add a pump')));
}

export function accessView({steer, me}) {
  const element = h('div', null, h('h1', null, 'Access'));
  let made = false;
  const update = () => {
    if (made || !fleet.known) return;
    made = true;
    element.append(...[steer && tokens(), certificates(steer), steer && signing(), steer && roster()].filter(Boolean));
    if (!steer) element.append(h('p', {class: 'dim'}, `${me.name} has the role look: tokens, invites and the roster are for those who may steer.`));
    element.append(h('p', {class: 'dim'}, 'Programs: ', h('a', {href: '/api/v1/openapi.json'}, 'description of the API'), ' · ', h('a', {href: '/metrics'}, 'metrics'), ` · version ${fleet.version}`));
  };
  update();
  put(element, 'class', 'narrow');
  return {element, update};
}
