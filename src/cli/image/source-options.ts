import type { DefinedRepository, SourceUrls } from '../../osimage/create/configs/types.js';
import { UsageError } from '../context.js';

/** `argv` in which `--srcurl:LAYER URL` (and `--srcurl:LAYER=URL`) is `--srcurl LAYER!URL`, which parsers of options know. */
export function joinSourceUrls(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word === '--') return [...joined, ...argv.slice(at)];
    const [, layer, inline] = /^--srcurl:([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (layer === undefined) joined.push(word);
    else {
      const url = inline ?? argv[++at];
      joined.push('--srcurl', ...(url === undefined ? [] : [`${layer}!${url}`]));
    }
  }
  return joined;
}

/** What the values of `--srcurl` mean: `URL` for every layer, `LAYER!URL` for one. Throws UsageError. */
export function parseSourceUrls(values: readonly string[]): SourceUrls {
  let all: string | undefined;
  const byLayer = new Map<string, string>();
  for (const value of values) {
    const [, layer, url] = /^([^!:/]*)!(.*)$/s.exec(value) ?? [];
    if (layer === undefined || url === undefined) all = checkedUrl(value, '--srcurl');
    else if (layer === '')
      throw new UsageError('--srcurl: names no layer after the colon; write --srcurl:updates URL');
    else byLayer.set(layer, checkedUrl(url, `--srcurl:${layer}`));
  }
  return { ...(all === undefined ? {} : { all }), byLayer };
}

/** What a value of `--define-repo` means: `NICK!URL`, cut at the first `!`. Throws UsageError. */
export function parseDefinedRepository(value: string): DefinedRepository {
  const [, nick, url] = /^([^!]*)!(.*)$/s.exec(value) ?? [];
  if (nick === undefined || url === undefined || nick === '' || url === '')
    throw new UsageError(
      `--define-repo ${value}: must have 2 parts separated by a "!"; write it as NICK!URL`,
    );
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(nick))
    throw new UsageError(
      `--define-repo ${value}: ${JSON.stringify(nick)} is no name for a repository; use letters, digits, dots, dashes and underscores`,
    );
  return { nick, url: checkedUrl(url, `--define-repo ${nick}!`) };
}

function checkedUrl(text: string, what: string): string {
  if (/^(?:https?|ftp|file):\/\//i.test(text) && !/\s/.test(text) && URL.canParse(text))
    return text.replace(/\/+$/, '');
  throw new UsageError(`${what} ${text}: no URL; write it as http://HOST/PATH, https://… or file:///PATH`);
}
