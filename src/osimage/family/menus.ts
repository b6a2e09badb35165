import path from 'node:path';
import type { BootMenu, MenuEntry, Started } from '../../image/boot-config/menu.js';
import type { BootEntry } from '../types.js';

/** One description of what two menus boot, and a line for everything that is not the same in both. */
export interface MergedMenus {
  readonly entries: readonly BootEntry[]; // the default first, then as the menu has them; paths are the media's
  readonly notes: readonly string[];
}

/** An entry of both menus, or of one. */
interface Pair {
  readonly label: string;
  readonly bios?: MenuEntry;
  readonly efi?: MenuEntry;
}

/**
 * The entries of a BIOS and an EFI menu as one description. An entry is in both when its names agree, or what it
 * starts does; where both say how and differ, the BIOS menu's word is taken and a note says what the other had.
 */
export function mergeMenus(bios: BootMenu | undefined, efi: BootMenu | undefined): MergedMenus {
  const pairs = pairUp(bios?.entries ?? [], efi?.entries ?? []);
  const both = bios !== undefined && efi !== undefined;
  const notes = both ? pairs.flatMap(differencesOf) : [];
  const defaultEntry = bios?.entries[bios.defaultEntry] ?? efi?.entries[efi.defaultEntry];
  const first = pairs.find((pair) => defaultEntry !== undefined && isOf(pair, defaultEntry));
  if (both && first?.bios !== undefined && first.efi !== efi.entries[efi.defaultEntry]) {
    const other = efi.entries[efi.defaultEntry]?.title;
    if (other !== undefined) notes.push(`the EFI menu starts ${other} by itself; ${first.label} is taken`);
  }
  const ordered = first === undefined ? pairs : [first, ...pairs.filter((pair) => pair !== first)];
  return { entries: ordered.flatMap(describe), notes };
}

function isOf(pair: Pair, entry: MenuEntry): boolean {
  return pair.bios === entry || pair.efi === entry;
}

function pairUp(bios: readonly MenuEntry[], efi: readonly MenuEntry[]): Pair[] {
  const labels = new Set<string>();
  const claim = (entry: MenuEntry): string => {
    const wanted = labelOf(entry);
    let label = wanted;
    for (let count = 2; labels.has(label); count++) label = `${wanted}-${count}`;
    labels.add(label);
    return label;
  };
  const left = new Set(efi);
  const take = (matches: (candidate: MenuEntry) => boolean): MenuEntry | undefined => {
    const found = [...left].find(matches);
    if (found !== undefined) left.delete(found);
    return found;
  };
  const named = bios.map((entry) =>
    take((candidate) => namesOf(candidate).some((name) => namesOf(entry).includes(name))),
  );
  const pairs = bios.map((entry, at): Pair => {
    const match = named[at] ?? take((candidate) => sameBoot(entry.starts, candidate.starts));
    return { label: claim(entry), bios: entry, ...(match === undefined ? {} : { efi: match }) };
  });
  return [...pairs, ...[...left].map((entry) => ({ label: claim(entry), efi: entry }))];
}

/** `text` as a label: lower-case letters, digits and single dashes. */
function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63);
}

function labelOf({ label, title }: MenuEntry): string {
  return slug(label) || slug(title) || 'entry';
}

const namesOf = ({ label, title }: MenuEntry): string[] =>
  [slug(label), slug(title)].filter((name) => name !== '');

/** Whether both load the same files with the same arguments. */
function sameBoot(one: Started, other: Started): boolean {
  if (one.kind !== other.kind) return false;
  return JSON.stringify(comparable(one)) === JSON.stringify(comparable(other));
}

const FIELDS = {
  hypervisor: 'hypervisor',
  hypervisorArgs: 'hypervisor arguments',
  kernel: 'kernel',
  args: 'kernel arguments',
  initrds: 'archives',
  program: 'program',
} as const;

/** What an entry starts as lists of words, by field; quotes are not compared. */
function comparable(starts: Started): Partial<Record<keyof typeof FIELDS, readonly string[]>> {
  const words = (text: string): string[] =>
    text
      .replaceAll('"', '')
      .split(/\s+/)
      .filter((word) => word !== '');
  switch (starts.kind) {
    case 'linux':
      return { kernel: [starts.kernel], args: words(starts.args), initrds: starts.initrds };
    case 'xen':
      return {
        hypervisor: [starts.hypervisor],
        hypervisorArgs: words(starts.hypervisorArgs),
        kernel: [starts.kernel],
        args: words(starts.args),
        initrds: starts.modules,
      };
    case 'efi':
      return { program: [starts.program] };
  }
}

/** What is not the same in both menus, a line each. */
function differencesOf({ label, bios, efi }: Pair): string[] {
  if (bios === undefined) return [`boot entry ${label} is in the EFI menu only`];
  if (efi === undefined) return [`boot entry ${label} is in the BIOS menu only`];
  if (bios.starts.kind !== efi.starts.kind) {
    if (efi.starts.kind === 'efi') return []; // a program for each firmware, as memory tests come
    return [
      `boot entry ${label}: BIOS starts ${bios.starts.kind}, EFI ${efi.starts.kind}; the former is taken`,
    ];
  }
  const [ours, theirs] = [comparable(bios.starts), comparable(efi.starts)];
  return Object.entries(FIELDS).flatMap(([field, name]) => {
    const [one, other] = [
      ours[field as keyof typeof FIELDS] ?? [],
      theirs[field as keyof typeof FIELDS] ?? [],
    ];
    if (one.join(' ') === other.join(' ')) return [];
    const only = (these: readonly string[], those: readonly string[]): string =>
      these.filter((word) => !those.includes(word)).join(' ') || 'another order';
    return [
      `boot entry ${label}: ${name} differ: BIOS has ${only(one, other)}, EFI has ${only(other, one)}; those of BIOS are taken`,
    ];
  });
}

/** The pair as a boot entry; none where it starts nothing that can be described. */
function describe({ label, bios, efi }: Pair): BootEntry[] {
  const entry = bios ?? efi;
  if (entry === undefined) return [];
  const title =
    [bios?.title, efi?.title].find((text) => text !== undefined && text !== '' && text !== label) ?? label;
  const program = efi?.starts.kind === 'efi' ? efi.starts.program : undefined;
  const { starts } = entry;
  if (starts.kind === 'xen') {
    return [
      {
        kind: 'xen',
        label,
        title,
        hypervisor: starts.hypervisor,
        hypervisorArgs: literal(starts.hypervisorArgs),
        kernel: starts.kernel,
        args: literal(starts.args),
        initrds: starts.modules,
      },
    ];
  }
  if (starts.kind === 'efi')
    return [{ kind: 'linux', label, title, kernel: starts.program, initrds: [], args: '', firmware: 'uefi' }];
  const { kernel, initrds, args } = starts;
  const only = bios !== undefined && efi === undefined && isBare(starts) ? { firmware: 'bios' as const } : {};
  return [
    {
      kind: 'linux',
      label,
      title,
      kernel,
      initrds,
      args: literal(args),
      ...only,
      ...(program === undefined ? {} : { efiProgram: program }),
    },
  ];
}

/** A kernel alone is a program such as a memory test, which may not start on the firmware that no menu has it for. */
function isBare(starts: Extract<Started, { kind: 'linux' }>): boolean {
  return starts.initrds.length === 0 && /memtest/i.test(path.posix.basename(starts.kernel));
}

/** Vendor's arguments inside a template, which they are none of. */
function literal(args: string): string {
  return /\{[{%]/.test(args) ? `{% raw %}${args}{% endraw %}` : args;
}
