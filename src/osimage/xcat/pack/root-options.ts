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
