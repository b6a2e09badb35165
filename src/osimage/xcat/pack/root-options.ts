import type { GenerationManifest } from '../../types.js';
import type { RootOptions } from './prepare.js';

/** `given`, and of a stateless image the lists that its attributes `exlist` and `synclists` name where it does not say. */
export function rootOptions(
  { family, inputs }: Pick<GenerationManifest, 'family' | 'inputs'>,
  given: Partial<RootOptions>,
): RootOptions {
  const listed = (attribute: string): string[] =>
    family === 'xcat' ? (inputs.settings[attribute] ?? '').split(',').filter((file) => file !== '') : [];
  return { exlists: listed('exlist'), synclists: listed('synclists'), ...given };
}

/** `given` as the words of a command, for a history; a hash is not shown. */
export function rootWords({
  exlists,
  synclists,
  postscripts,
  xcatinfo,
  rootHash,
  timezone,
}: Partial<RootOptions>): string[] {
  return [
    ...(exlists?.length === 0 ? ['--no-exlist'] : (exlists ?? []).flatMap((file) => ['--exlist', file])),
    ...(synclists?.length === 0 ? ['--nosyncfiles'] : []),
    ...(synclists ?? []).flatMap((file) => ['--synclist', file]),
    ...(postscripts === undefined ? [] : ['--postscripts', postscripts]),
    ...(xcatinfo === true ? ['--xcatinfo'] : []),
    ...(rootHash === undefined ? [] : ['--root-password-hash-file', '…']),
    ...(timezone === undefined ? [] : ['--timezone', timezone]),
  ];
}
