import type { BootEntry, GenerationInputs } from './types.js';

/** The name that the archive imported as `base` is served under: another one when it was packed in another form. */
export function servedName({ packed }: Pick<GenerationInputs, 'packed'>, base: string): string {
  return packed?.[base]?.servedAs ?? base;
}

/** The name under which the archive that is served as `served` was imported. */
export function importedName({ packed }: Pick<GenerationInputs, 'packed'>, served: string): string {
  const found = Object.entries(packed ?? {}).find(([, { servedAs }]) => servedAs === served);
  return found?.[0] ?? served;
}

/** `boot` with `inputs`' names of archives in its kernel lines, which have those at the import. */
export function namingServed(
  boot: readonly BootEntry[],
  inputs: Pick<GenerationInputs, 'packed'>,
): readonly BootEntry[] {
  const renamed = Object.entries(inputs.packed ?? {}).flatMap(([base, { servedAs }]) =>
    servedAs === undefined ? [] : [{ base, servedAs }],
  );
  if (renamed.length === 0) return boot;
  return boot.map((entry) => ({
    ...entry,
    args: renamed.reduce(
      (args, { base, servedAs }) => args.replaceAll(`{{ files }}/${base}`, `{{ files }}/${servedAs}`),
      entry.args,
    ),
  }));
}
