// The frame: who is logged in, which page is shown, and the line to the house.

import {h, say, put, announce, toast, field} from './dom.js';
import * as api from './api.js';
import {fleet} from './fleet.js';
import {fleetView} from './view-fleet.js';
import {pumpView} from './view-pump.js';
import {treeView} from './view-tree.js';
import {viewersView} from './view-viewers.js';
import {streamsView} from './view-streams.js';
import {eventsView, eventText} from './view-events.js';
import {planView} from './view-plan.js';
import {accessView} from './view-access.js';

const pages = [
  {name: 'fleet', title: 'Fleet', view: fleetView},
  {name: 'tree', title: 'Tree', view: treeView},
  {name: 'viewers', title: 'Viewers', view: viewersView},
  {name: 'streams', title: 'Streams', view: streamsView},
  {name: 'events', title: 'Events', view: eventsView},
  {name: 'plan', title: 'Plan', view: planView},
  {name: 'access', title: 'Access', view: accessView},
];
const more = [{name: 'pump', title: 'Pump', view: pumpView, under: 'fleet'}];

const main = document.getElementById('main');
const beat = document.getElementById('beat');
let me = null;
let shown = null; // the view
let stop = null; // ends the line
let away = null; // timer: the page is not looked at

function parse() {
  const [name, ...args] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  return {page: [...pages, ...more].find((p) => p.name === name) || pages[0], args};
}

function show(byUser) {
  if (!me) return;
  const {page, args} = parse();
  if (shown) shown.close?.();
  shown = page.view({me, steer: me.role === 'steer', args});
  document.title = `${shown.title || page.title} · Pump House`;
  main.replaceChildren(shown.element);
  for (const a of document.querySelectorAll('#nav a')) {
    put(a, 'aria-current', a.dataset.name === (page.under || page.name) ? 'page' : null);
  }
  if (byUser) {
    main.focus();
    window.scrollTo(0, 0);
  }
}

function state(what) {
  put(beat, 'data-state', what);
  say(beat, {live: 'live', lost: 'connecting again', paused: 'paused'}[what] || what);
}

function follow() {
  stop?.();
  stop = api.live({
    state,
    fleet: (o) => fleet.whole(o),
    figures: (f) => fleet.figures(f),
    happening: (e) => {
      fleet.happening(e);
      if (['pump_down', 'pump_up', 'stream_lost', 'stream_live'].includes(e.kind)) announce(eventText(e));
    },
  });
}

async function enter(who) {
  me = who;
  document.getElementById('top').hidden = false;
  say(document.getElementById('whoami'), `${me.name} · ${me.role === 'steer' ? 'may steer' : 'may look'}`);
  fleet.reset();
  follow();
  show();
  try {
    fleet.past(await api.get('/events'));
  } catch (e) {
    if (e.status !== 401) toast(`The events of the past could not be read: ${e.message}`, true);
  }
}

function leave(why) {
  if (!me && main.querySelector('form.login')) return;
  me = null;
  stop?.();
  stop = null;
  shown?.close?.();
  shown = null;
  document.getElementById('top').hidden = true;
  document.title = 'Log in · Pump House';
  document.getElementById('toasts').replaceChildren();
  main.replaceChildren(login(why));
  main.querySelector('input').focus();
}

function login(why) {
  const name = h('input', {name: 'name', autocomplete: 'username', required: true, autocapitalize: 'none', spellcheck: 'false'});
  const password = h('input', {name: 'password', type: 'password', autocomplete: 'current-password', required: true});
  const error = h('p', {class: 'error', role: 'alert'}, why || '');
  const button = h('button', {type: 'submit', class: 'primary'}, 'Log in');
  return h('form', {class: 'login panel', method: 'post', action: '#', onsubmit: async (e) => {
    e.preventDefault();
    button.disabled = true;
    say(error, '');
    try {
      await enter(await api.post('/session', {name: name.value, password: password.value}));
    } catch (err) {
      say(error, err.retry && err.status === 429 ? `${err.message}: try again in ${err.retry} s` : err.message);
      button.disabled = false;
      password.select();
    }
  }},
  h('img', {src: '/static/icon.svg', alt: '', width: '48', height: '48'}),
  h('h1', null, 'Pump House'),
  field('Name', name), field('Password', password), error, button);
}

document.getElementById('nav').append(...pages.map((p) => h('a', {href: `#/${p.name}`, 'data-name': p.name}, p.title)));
document.getElementById('logout').addEventListener('click', async () => {
  try {
    await api.remove('/session');
  } catch {
    // it has ended already
  }
  leave();
});
fleet.addEventListener('any', (e) => {
  say(document.getElementById('house'), fleet.house);
  shown?.update?.(e.detail);
});
window.addEventListener('hashchange', () => show(true));
document.addEventListener('visibilitychange', () => {
  clearTimeout(away);
  if (document.hidden) {
    away = setTimeout(() => {
      if (!stop) return;
      stop();
      stop = null;
      state('paused');
    }, 60000);
  } else if (me && !stop) {
    follow();
  }
});
api.onLoggedOut(() => leave('The session has ended; log in again.'));

try {
  await enter(await api.get('/session'));
} catch (e) {
  leave(e.status === 401 ? '' : e.message);
}
