// What has happened.

import {h, say, put, keyed} from './dom.js';
import {at, on} from './format.js';
import {fleet} from './fleet.js';

const words = {
  pump_up: 'is up', pump_down: 'is down', pump_full: 'is full', pump_free: 'has room again',
  stream_live: 'is delivered', stream_lost: 'is not delivered by any pump', roster_changed: 'roster or streams have changed',
};
const kinds = {pump_down: 'bad', stream_lost: 'bad', pump_full: 'warn', pump_up: 'good', stream_live: 'good'};
const filters = {all: 'everything', pumps: 'pumps up and down', streams: 'streams', notes: 'notes and steering'};
const fits = {
  all: () => true,
  pumps: (e) => e.kind.startsWith('pump_'),
  streams: (e) => e.kind.startsWith('stream_'),
  notes: (e) => e.kind === 'noted' || e.kind === 'roster_changed',
};

/** eventText says an event in words. */
export function eventText(e) {
  if (e.kind === 'noted') return e.pump ? `${fleet.title(e.pump)}: ${e.text}` : e.text;
  if (e.kind.startsWith('stream_')) return `Stream ${e.stream} ${words[e.kind]}${e.kind === 'stream_live' && e.pump ? `, first by ${fleet.title(e.pump)}` : ''}`;
  if (e.kind.startsWith('pump_')) return `${fleet.title(e.pump)} ${words[e.kind]}`;
  return words[e.kind] ? words[e.kind][0].toUpperCase() + words[e.kind].slice(1) : e.kind;
}

export function eventRow(e) {
  const time = h('time', {datetime: e.time, title: on(e.time)}, at(e.time));
  const text = h('span');
  const element = h('li', null, time, text);
  put(element, 'data-kind', kinds[e.kind] || 'plain');
  return {element, update: (x) => say(text, eventText(x))};
}

export function eventsView() {
  const filter = h('select', {'aria-label': 'Which events', onchange: () => update('events')}, ...Object.entries(filters).map(([k, v]) => h('option', {value: k}, v)));
  const list = h('ol', {class: 'events', 'aria-label': 'Events, newest first'});
  const none = h('p', {class: 'panel dim'}, 'Nothing has happened since this house was started.');
  const element = h('div', null, h('div', {class: 'bar-of-tools'}, h('h1', null, 'Events'), filter), list, none);
  function update(what) {
    if (what === 'figures') return;
    const shown = fleet.events.filter(fits[filter.value]);
    keyed(list, shown, (e) => e.number, eventRow);
    none.hidden = shown.length > 0;
  }
  update();
  return {element, update};
}
