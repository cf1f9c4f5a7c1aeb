// Small charts of the last two minutes.

import {s, put} from './dom.js';
import {seconds} from './fleet.js';

const height = 36;

/** Chart draws one figure of samples as an area; where there is no figure there is a gap. */
export class Chart {
  constructor(figure, format, name) {
    Object.assign(this, {figure, format, name});
    this.area = s('path', {class: 'area'});
    this.line = s('path', {class: 'line'});
    this.limit = s('path', {class: 'limit'});
    this.element = s('svg', {class: 'chart', viewBox: `0 0 ${seconds - 1} ${height}`, preserveAspectRatio: 'none', role: 'img'}, this.area, this.line, this.limit);
  }

  update(samples, limit) {
    const values = samples.map((x) => (x.up ? x[this.figure] : null));
    const most = Math.max(1, ...values);
    const top = Math.max(most * 1.15, limit && limit < most * 2 ? limit * 1.05 : 0);
    const first = seconds - values.length;
    const y = (v) => (height - 1 - (v / top) * (height - 3)).toFixed(2);
    let line = '';
    let area = '';
    let begun = -1;
    values.forEach((v, i) => {
      const x = first + i;
      if (v !== null) {
        line += `${begun < 0 ? 'M' : 'L'}${x} ${y(v)}`;
        if (begun < 0) {
          begun = x;
          area += `M${x} ${height}`;
        }
        area += `L${x} ${y(v)}`;
      }
      if (begun >= 0 && (v === null || i === values.length - 1)) {
        area += `L${v === null ? x - 1 : x} ${height}Z`;
        begun = -1;
      }
    });
    put(this.line, 'd', line || 'M0 0');
    put(this.area, 'd', area || 'M0 0');
    put(this.limit, 'd', limit && limit <= top ? `M0 ${y(limit)}H${seconds - 1}` : 'M0 0');
    const now = values.length ? values[values.length - 1] : null;
    const told = values.filter((v) => v !== null);
    put(this.element, 'aria-label', `${this.name}, last two minutes: now ${now === null ? 'nothing' : this.format(now)}, at most ${told.length ? this.format(Math.max(...told)) : 'nothing'}`);
  }
}
