// Speaking to the house.

const base = '/api/v1';

/** Refused is an answer that is no success. */
export class Refused extends Error {
  constructor(status, text, details, retry) {
    super(text);
    this.status = status;
    this.details = details;
    this.retry = retry;
  }
}

async function refusal(r) {
  let text = `${r.status} ${r.statusText}`;
  let details = [];
  try {
    const p = await r.json();
    if (p.detail) text = p.detail;
    details = (p.errors || []).map((e) => (e.location ? `${e.location}: ${e.message}` : e.message));
  } catch {
    // not the API's own words
  }
  return new Refused(r.status, text, details, Number(r.headers.get('Retry-After')) || 0);
}

let loggedOut = () => {};

/** onLoggedOut is called when the session turns out to have ended. */
export function onLoggedOut(f) {
  loggedOut = f;
}

async function ask(method, path, body, headers = {}) {
  const o = {method, headers: {Accept: 'application/json', ...headers}, credentials: 'same-origin', cache: 'no-store'};
  if (body !== undefined) {
    o.headers['Content-Type'] = 'application/json';
    o.body = typeof body === 'string' ? body : JSON.stringify(body);
  }
  const r = await fetch(base + path, o);
  if (!r.ok) {
    const e = await refusal(r);
    if (e.status === 401 && path !== '/session') loggedOut();
    throw e;
  }
  if (r.status === 204) return {body: null, etag: null};
  const text = await r.text();
  const json = (r.headers.get('Content-Type') || '').includes('json');
  return {body: json && text ? JSON.parse(text) : text, etag: r.headers.get('ETag'), text};
}

const part = encodeURIComponent;

function query(o) {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(o)) if (v !== '' && v !== undefined && v !== false) q.set(k, v);
  const text = q.toString();
  return text && `?${text}`;
}

export const get = async (path, q) => (await ask('GET', path + query(q || {}))).body;
export const whole = (path) => ask('GET', path);
export const post = async (path, body) => (await ask('POST', path, body)).body;
export const plan = (text, name) => ask('POST', '/roster/plan' + query({name}), text);
export const change = async (path, body, etag) => (await ask('PUT', path, body, etag ? {'If-Match': etag} : {})).body;
export const remove = async (path) => (await ask('DELETE', path)).body;
export const address = (...parts) => '/' + parts.map(part).join('/');

/** live follows the fleet; it returns what ends it. */
export function live(handlers) {
  let source;
  let timer;
  let over = false;
  const open = () => {
    source = new EventSource(`${base}/live`);
    for (const kind of ['fleet', 'figures', 'happening']) {
      source.addEventListener(kind, (e) => handlers[kind](JSON.parse(e.data)));
    }
    source.onopen = () => handlers.state('live');
    source.onerror = async () => {
      handlers.state('lost');
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
      clearTimeout(timer);
      try {
        await get('/session');
      } catch (e) {
        if (e.status === 401) {
          loggedOut();
          return;
        }
      }
      if (!over) timer = setTimeout(open, 2000 + 2000 * Math.random());
    };
  };
  open();
  return () => {
    over = true;
    clearTimeout(timer);
    source.close();
  };
}
