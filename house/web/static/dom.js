// Small things that every view is made of. Nothing here puts text together into markup: what comes
// from outside can only become text.

const SVG = 'http://www.w3.org/2000/svg';

function fill(e, props, children) {
  for (const [k, v] of Object.entries(props || {})) set(e, k, v);
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

function set(e, k, v) {
  if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
  else if (k === 'value' || k === 'checked' || k === 'disabled' || k === 'hidden') e[k] = v;
  else if (v === null || v === undefined || v === false) e.removeAttribute(k);
  else e.setAttribute(k, v === true ? '' : v);
}

/** h makes an element: h('p', {class: 'dim'}, 'text', child). */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** s is h for SVG. */
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

/** say changes a text only when it differs, so that nothing that is selected or read aloud is disturbed. */
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

/** put changes an attribute only when it differs. */
export function put(e, name, value) {
  if (value === null || value === undefined || value === false) e.removeAttribute(name);
  else if (e.getAttribute(name) !== String(value)) e.setAttribute(name, value);
}

/**
 * keyed makes the children of an element those of a list: make(item) makes one, with update(item) on
 * it. Elements stay while their key does, with focus and all.
 */
export function keyed(parent, list, key, make) {
  const had = parent.keyed || new Map();
  const now = new Map();
  let at = parent.firstElementChild;
  for (const item of list) {
    const k = key(item);
    let part = had.get(k);
    if (!part) part = make(item);
    now.set(k, part);
    if (part.element === at) at = at.nextElementSibling;
    else parent.insertBefore(part.element, at);
    part.update(item);
  }
  for (const [k, part] of had) if (!now.has(k)) part.element.remove();
  parent.keyed = now;
}

/** announce tells something to who listens to the page. */
export function announce(text) {
  document.getElementById('said').textContent = text;
}

/** toast shows for a while what became of something. */
export function toast(text, bad) {
  const e = h('div', {class: bad ? 'toast bad' : 'toast', role: bad ? 'alert' : null}, text);
  document.getElementById('toasts').append(e);
  setTimeout(() => e.remove(), bad ? 12000 : 5000);
}

/** dialog asks something; content gets a function that closes it. It resolves when closed. */
export function dialog(title, content) {
  const d = document.getElementById('dialog');
  const before = document.activeElement;
  return new Promise((resolve) => {
    let answer = null;
    const close = (a) => { answer = a ?? null; d.close(); };
    d.replaceChildren(h('h2', {id: 'dialog-title'}, title), content(close));
    d.addEventListener('close', () => {
      d.replaceChildren();
      if (before && before.isConnected) before.focus();
      resolve(answer);
    }, {once: true});
    d.showModal();
  });
}

/** confirm asks whether something is to be done. */
export const confirm = (title, text, verb, danger) => dialog(title, (close) => h('form', {method: 'dialog', onsubmit: () => close(true)},
  h('p', null, text),
  h('div', {class: 'buttons'},
    h('button', {type: 'button', onclick: () => close(false)}, 'Cancel'),
    h('button', {type: 'submit', class: danger ? 'danger' : 'primary', autofocus: true}, verb))));

/** field is a labelled input. */
let fields = 0;
export function field(label, input, hint) {
  const id = input.id || `field-${++fields}`;
  input.id = id;
  if (hint) input.setAttribute('aria-describedby', `${id}-hint`);
  return h('div', {class: 'field'}, h('label', {for: id}, label), input, hint && h('small', {id: `${id}-hint`, class: 'dim'}, hint));
}
