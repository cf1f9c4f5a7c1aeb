// How numbers and times are written.

const plain = new Intl.NumberFormat('en');

export const count = (n) => plain.format(n);

/** some writes a number of things: some(1, 'viewer') is "1 viewer". */
export const some = (n, what) => `${count(n)} ${what}${n === 1 ? '' : 's'}`;

function scaled(n, base, units) {
  let i = 0;
  while (Math.abs(n) >= base && i < units.length - 1) {
    n /= base;
    i++;
  }
  const digits = i === 0 || Math.abs(n) >= 100 ? 0 : Math.abs(n) >= 10 ? 1 : 2;
  return `${n.toFixed(digits)} ${units[i]}`;
}

export const rate = (bps) => scaled(bps, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
export const bytes = (n) => scaled(n, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']);

export function duration(seconds) {
  const sec = Math.max(0, Math.floor(seconds));
  if (sec < 60) return `${sec} s`;
  if (sec < 3600) return `${Math.floor(sec / 60)} min ${sec % 60} s`;
  if (sec < 86400) return `${Math.floor(sec / 3600)} h ${Math.floor(sec / 60) % 60} min`;
  return `${Math.floor(sec / 86400)} d ${Math.floor(sec / 3600) % 24} h`;
}

export const since = (time, now) => duration((now - new Date(time)) / 1000);

export const lag = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);

const clock = new Intl.DateTimeFormat(undefined, {hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false});
const day = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'short', hour12: false});

export const at = (time) => clock.format(new Date(time));
export const on = (time) => day.format(new Date(time));

/** bandwidth reads "200 Mbit/s", "1.5M" or a number of bit/s; NaN if it is none. */
export function bandwidth(text) {
  const m = /^\s*([0-9]+(?:\.[0-9]+)?)\s*([kKmMgGtT]?)(?:bit(?:\/s)?|bps)?\s*$/.exec(text);
  if (!m) return text.trim() === '' ? 0 : NaN;
  return Math.round(Number(m[1]) * {'': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12}[m[2].toLowerCase()]);
}
