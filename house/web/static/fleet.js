// What the page knows of the fleet: told once, and then what changes.

import {get, address} from './api.js';

const keep = 120; // seconds of the small charts
const keepEvents = 500;

class Fleet extends EventTarget {
  constructor() {
    super();
    this.reset();
  }

  reset() {
    this.known = false;
    this.house = '';
    this.version = '';
    this.skew = 0; // the house's clock less ours
    this.totals = null;
    this.pumps = new Map(); // by id, in the order of the roster
    this.relays = new Map(); // pumps within houses, by id
    this.streams = [];
    this.history = new Map(); // id → samples
    this.total = []; // samples of the whole fleet
    this.events = []; // newest first
    this.thin = false;
    this.asked = new Set(); // ids whose past was asked for
    this.seen = 0; // number of the newest event
  }

  now() {
    return new Date(Date.now() + this.skew);
  }

  whole(o) {
    this.known = true;
    Object.assign(this, {house: o.house, version: o.version, totals: o.totals, streams: o.streams});
    this.relays = new Map(o.relays.map((p) => [p.id, p]));
    this.skew = new Date(o.time) - Date.now();
    this.pumps = new Map(o.pumps.map((p) => [p.id, p]));
    this.history = new Map(o.pumps.map((p) => [p.id, p.history || this.history.get(p.id) || []]));
    this.thin = o.pumps.length > 0 && !o.pumps.some((p) => p.history); // a large fleet: the past of a pump has to be asked for
    this.total = o.history || [];
    this.changed('pumps');
  }

  figures(f) {
    this.totals = f.totals;
    this.streams = f.streams;
    this.relays = new Map(f.relays.map((p) => [p.id, p]));
    for (const p of f.pumps) this.pumps.set(p.id, p);
    const at = f.time;
    for (const [id, p] of this.pumps) {
      push(this.history.get(id), {at, up: p.state === 'up', viewers: p.viewers + p.downstream, in_bps: p.in_bps, out_bps: p.out_bps, cpu: p.cpu});
    }
    push(this.total, {at, up: true, viewers: f.totals.viewers + f.totals.links, out_bps: f.totals.out_bps, in_bps: f.totals.in_bps, cpu: 0});
    this.changed('figures');
  }

  /** remember asks for the past of a pump that the house has not told. */
  async remember(id) {
    if (!this.thin || this.asked.has(id)) return;
    this.asked.add(id);
    try {
      const p = await get(address('pumps', id));
      if (p.history && this.pumps.has(id)) {
        this.history.set(id, p.history);
        this.changed('past');
      }
    } catch {
      this.asked.delete(id); // it is asked again when it is looked at again
    }
  }

  past(list) {
    for (const e of list) this.happening(e, true);
    this.changed('events');
  }

  happening(e, quiet) {
    if (e.number <= this.seen) return;
    this.seen = e.number;
    this.events.unshift(e);
    this.events.length = Math.min(this.events.length, keepEvents);
    if (!quiet) this.changed('events', e);
  }

  changed(what, detail) {
    this.dispatchEvent(new CustomEvent(what, {detail}));
    this.dispatchEvent(new CustomEvent('any', {detail: what}));
  }

  title(id) {
    const p = this.pumps.get(id);
    if (p) return p.title;
    if (!id.startsWith('@')) return id;
    return id.slice(1) === this.house ? 'this house (relay)' : `${id.slice(1)} (relay)`;
  }
}

function push(list, sample) {
  list.push(sample);
  if (list.length > keep) list.splice(0, list.length - keep);
}

export const fleet = new Fleet();
export const seconds = keep;
