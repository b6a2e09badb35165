import type { SourceFile } from '../source/source.js';
import type { BootEntry } from '../types.js';

/** Every file that an entry loads. */
export function pathsOf(entry: BootEntry): string[] {
  const own =
    entry.kind === 'xen' ? [entry.hypervisor] : entry.efiProgram === undefined ? [] : [entry.efiProgram];
  return [...own, entry.kernel, ...entry.initrds];
}

/** `entries` without those that load what is not on the media, and a line for each that is not as its menu has it. */
export function keepBootable(
  entries: readonly BootEntry[],
  there: ReadonlyMap<string, SourceFile>,
): { readonly entries: readonly BootEntry[]; readonly notes: readonly string[] } {
  const kept: BootEntry[] = [];
  const notes: string[] = [];
  for (const entry of entries) {
    const missing = pathsOf(entry).filter((path) => !there.has(path));
    if (missing.length === 0) {
      kept.push(entry);
    } else if (entry.kind === 'linux' && missing.every((path) => path === entry.efiProgram)) {
      const { efiProgram, ...rest } = entry;
      kept.push({ ...rest, firmware: 'bios' });
      notes.push(
        `boot entry ${entry.label} loads ${efiProgram ?? ''} on UEFI, which is not there; it is for BIOS only`,
      );
    } else {
      notes.push(`boot entry ${entry.label} loads ${missing.join(', ')}, which is not there; it is left out`);
    }
  }
  return { entries: kept, notes };
}
