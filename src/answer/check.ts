import { closest } from 'fastest-levenshtein';
import { attribute, checkRoot, quoted, relations, type Surroundings } from './relations.js';
import type { AttributeRule, ElementRule, Mode, Release } from './rule.js';
import { elements, rootAttributes } from './xcp-ng.js';
import { isProblem, readXml, type AnswerElement, type Problem } from './xml.js';

/** What an answer file is checked for. */
export interface AnswerSetting {
  readonly release: Release;
  /** Whether the install tree's metadata is signed; undefined: not known. */
  readonly signed?: boolean;
  /** Marks values of a sample, which are not checked. */
  readonly sample?: RegExp;
}

/**
 * What in `text` the installer of XCP-ng or XenServer would refuse, or pass over without a word, in the order it stands
 * there. Empty: nothing.
 */
export function checkAnswer(text: string, setting: AnswerSetting): Problem[] {
  const root = readXml(text);
  if (isProblem(root)) return [root];
  const problems: Problem[] = [];
  const report = (place: Problem['place'], message: string): void => void problems.push({ place, message });
  const mode = modeOf(root);
  if (mode === undefined) {
    report(
      root.place,
      `<${root.name}> is no answer file; it begins with <installation>, <upgrade> or <restore>`,
    );
    return problems;
  }
  const around: Surroundings = {
    root,
    mode,
    release: setting.release,
    signed: setting.signed,
    report,
    isSample: (value) => setting.sample?.test(value) === true,
  };
  checkElement(root, { times: 'once', attributes: rootAttributes, children: elements }, around);
  checkRoot(around);
  return problems.sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
}

/** What the root element asks for; undefined: no answer file. A mode nobody knows is reported with the attributes. */
function modeOf(root: AnswerElement): Mode | undefined {
  if (root.name === 'restore') return 'restore';
  if (root.name !== 'installation' && root.name !== 'upgrade') return undefined;
  const mode = attribute(root, 'mode');
  return mode === 'upgrade' || mode === 'reinstall' ? mode : 'fresh';
}

function checkElement(element: AnswerElement, rule: ElementRule, around: Surroundings): void {
  const { report } = around;
  if (element.cdata !== undefined) {
    report(element.cdata, `<${element.name}>: the installer drops CDATA; write the text itself, & as &amp;`);
  }
  checkAttributes(element, rule.attributes ?? {}, around);
  checkText(element, rule, around);
  checkChildren(element, rule.children ?? {}, around);
  relations[rule.aliasOf ?? element.name]?.(element, around);
}

function checkAttributes(
  element: AnswerElement,
  rules: Readonly<Record<string, AttributeRule>>,
  { release, report, isSample }: Surroundings,
): void {
  const known = Object.keys(rules).filter((name) => isKnown(rules[name]?.release, release));
  for (const { name, value, place } of element.attributes) {
    const rule = rules[name];
    if (name === 'xmlns') continue;
    if (rule === undefined) {
      report(place, `<${element.name}> has no attribute ${name}${suggestion(name, known)}`);
    } else if (!isKnown(rule.release, release)) {
      report(place, `<${element.name}> ${name} is for ${productOf(rule.release)} only; leave it out`);
    } else if (value !== '' && !isSample(value) && !rule.value.accepts(value)) {
      report(place, `<${element.name}> ${name}=${quoted(value)} is not ${rule.value.wants}`);
    }
  }
  for (const [name, rule] of Object.entries(rules)) {
    if (rule.required === true && attribute(element, name) === undefined)
      report(element.place, `<${element.name}> needs ${name}=, ${rule.value.wants}`);
  }
}

function checkText(element: AnswerElement, rule: ElementRule, { report, isSample }: Surroundings): void {
  const { text, textPlace } = element;
  if (element.cdata !== undefined || rule.text === 'free' || isSample(text)) return;
  if (rule.text === undefined) {
    if (text !== '')
      report(textPlace, `<${element.name}> holds ${quoted(text)}, which nothing reads; take it out`);
  } else if (!rule.text.accepts(text)) {
    report(textPlace, `<${element.name}> ${quoted(text)} is not ${rule.text.wants}`);
  }
}

function checkChildren(
  element: AnswerElement,
  rules: Readonly<Record<string, ElementRule>>,
  around: Surroundings,
): void {
  const { mode, release, report } = around;
  const fits = (rule: ElementRule): boolean =>
    isKnown(rule.release, release) && (rule.modes?.includes(mode) ?? true);
  const known = Object.keys(rules).filter((name) => rules[name] !== undefined && fits(rules[name]));
  const seen = new Map<string, AnswerElement>();
  for (const child of element.children) {
    const rule = rules[child.name];
    if (rule === undefined) {
      report(child.place, `<${element.name}> has no element <${child.name}>${suggestion(child.name, known)}`);
      continue;
    }
    if (!isKnown(rule.release, release)) {
      report(child.place, `<${child.name}> is for ${productOf(rule.release)} only; leave it out`);
      continue;
    }
    if (!fits(rule)) {
      report(
        child.place,
        `<${child.name}> is for ${modesOf(rule)}, and this is ${nameOf(mode)}; leave it out`,
      );
      continue;
    }
    const name = rule.aliasOf ?? child.name;
    const first = seen.get(name);
    if (first !== undefined && (rule.times === 'once' || rule.times === 'optional')) {
      report(
        child.place,
        `<${child.name}> is there twice, first in line ${first.place.line}; keep one, the installer reads only one`,
      );
    }
    seen.set(name, first ?? child);
    checkElement(child, rule, around);
  }
  for (const [name, rule] of Object.entries(rules)) {
    const wanted = rule.times === 'once' || rule.times === 'some';
    if (wanted && rule.aliasOf === undefined && fits(rule) && !seen.has(name))
      report(element.place, `<${element.name}> needs <${name}> in it`);
  }
}

function isKnown(only: Release | undefined, release: Release): boolean {
  return only === undefined || only === release;
}

function productOf(release: Release | undefined): string {
  return release === 'xcp-ng-8' ? 'XCP-ng 8' : 'XenServer’s installer of 2026';
}

function nameOf(mode: Mode): string {
  return mode === 'restore' ? '<restore>' : `mode="${mode}"`;
}

function modesOf(rule: ElementRule): string {
  return (rule.modes ?? []).map(nameOf).join(' and ');
}

function suggestion(name: string, known: readonly string[]): string {
  if (known.length === 0) return '; it takes none';
  return `; did you mean ${closest(name, known)}? It takes ${known.join(', ')}`;
}
