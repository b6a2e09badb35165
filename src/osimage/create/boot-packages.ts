import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { RepoError } from '../../repo/errors.js';
import type { PlaceholderValues } from './configs/types.js';
import { parseBranding } from './branding.js';
import { packageName, unpackPackage, type Downloads } from './downloads.js';

/** A package that boot files come from. */
interface BootPackage {
  readonly name: string;
  readonly needed: boolean; // without it no medium can be made
  readonly wanted: RegExp; // what of it is unpacked: paths, relative
  /** Copies its files onto the medium. */
  readonly place: (from: UnpackedFiles, medium: string) => Promise<void>;
}

/** What came of the packages. */
export interface BootFiles {
  readonly branding: PlaceholderValues; // empty without a branding package
  readonly grub: string | undefined; // GRUB as an EFI program
  readonly notes: readonly string[];
}

const SYSLINUX_MODULES = ['mboot.c32', 'menu.c32', 'ldlinux.c32', 'libcom32.c32', 'libutil.c32'];
/** Without these syslinux shows no menu, or loads no Xen; since version 5 it needs the others of its modules, too. */
const SYSLINUX_NEEDED = ['isolinux.bin', 'pxelinux.0', 'mboot.c32', 'menu.c32'];

const KERNEL = /^boot\/vmlinuz-[^/]+$/;

const PACKAGES: readonly BootPackage[] = [
  {
    name: 'kernel',
    needed: true,
    wanted: KERNEL,
    place: (from, medium) => from.copyOne([KERNEL], medium, 'boot/vmlinuz'),
  },
  {
    name: 'kernel-alt',
    needed: false,
    wanted: KERNEL,
    place: (from, medium) => from.copyOne([KERNEL], medium, 'boot/alt/vmlinuz'),
  },
  {
    name: 'xen-hypervisor',
    needed: true,
    wanted: /^boot\/xen/,
    // The debug build, which says more on the console when it fails, comes first.
    place: (from, medium) =>
      from.copyOne([/^boot\/xen-.*-d\.gz$/, /^boot\/xen.*\.gz$/], medium, 'boot/xen.gz'),
  },
  {
    name: 'memtest86+',
    needed: false,
    wanted: /^boot\/.*memtest/,
    async place(from, medium) {
      await from.copyOne([/\/memtest[^/]*(?<!\.efi)$/], medium, 'boot/memtest.bin');
      if (from.has(/\/memtest[^/]*\.efi$/))
        await from.copyOne([/\/memtest[^/]*\.efi$/], medium, 'boot/memtest.efi');
    },
  },
  {
    name: 'syslinux',
    needed: true,
    wanted: /^usr\/share\/syslinux\/./,
    async place(from, medium) {
      for (const name of new Set([...SYSLINUX_NEEDED, ...SYSLINUX_MODULES])) {
        const file = new RegExp(`/${name.replaceAll('.', '\\.')}$`);
        if (!SYSLINUX_NEEDED.includes(name) && !from.has(file)) continue;
        for (const loader of ['isolinux', 'pxelinux']) {
          if (name === 'isolinux.bin' && loader !== 'isolinux') continue;
          if (name === 'pxelinux.0' && loader !== 'pxelinux') continue;
          await from.copyOne([file], medium, `boot/${loader}/${name}`);
        }
      }
    },
  },
];

const BRANDING = { name: 'branding-xcp-ng', wanted: /(^|\/)(?:branding\/.|EULA$|LICENSES$)/ };
const GRUB = { name: 'grub-efi', wanted: /^boot\/efi\/./ };

/** The packages that a medium boots from, as the repositories have them. */
export interface BootPackages {
  readonly known: readonly string[];
  readonly missing: readonly string[]; // that a medium can do without
}

/**
 * Looks for the packages that a medium boots from. `withGrub`: whether GRUB comes from a package, too. Throws RepoError
 * UNRESOLVED for one that is nowhere and is needed.
 */
export async function findBootPackages(from: Downloads, withGrub: boolean): Promise<BootPackages> {
  const names = [...PACKAGES.map(({ name }) => name), BRANDING.name, ...(withGrub ? [GRUB.name] : [])];
  const known = await from.known(names);
  const needed = [...PACKAGES.filter((item) => item.needed), ...(withGrub ? [GRUB] : [])];
  const nowhere = needed.find(({ name }) => !known.has(name));
  if (nowhere === undefined) return { known: [...known], missing: names.filter((name) => !known.has(name)) };
  const mend = nowhere === GRUB ? '; --efi-installer mkimage makes a GRUB of this machine’s' : '';
  throw new RepoError(
    'UNRESOLVED',
    `${nowhere.name}: the repositories of the layers have no such package, and the medium boots with it; see --srcurl${mend}`,
  );
}

/**
 * Fetches the packages that a medium boots from and puts their files where create-iso does. Throws RepoError BAD_PACKAGE for
 * one without its files, FETCH_FAILED.
 */
export async function addBootFiles(
  medium: string,
  { known, missing }: BootPackages,
  from: Downloads,
  work: string,
): Promise<BootFiles> {
  const files = new Map<string, UnpackedFiles>();
  const packages = await from.fetch(known, path.join(work, 'boot-packages'), { resolve: false });
  for (const file of packages) {
    const name = await packageName(file);
    const source = [...PACKAGES, BRANDING, GRUB].find((candidate) => candidate.name === name);
    if (source === undefined || files.has(name)) continue;
    const into = path.join(work, 'unpacked', name);
    await unpackPackage(file, source.wanted, into);
    files.set(name, await UnpackedFiles.in(into, path.basename(file)));
  }
  for (const { name, place } of PACKAGES) await files.get(name)?.apply(place, medium);
  return {
    branding: await addBranding(files.get(BRANDING.name), medium),
    grub: files.get(GRUB.name)?.path(/^boot\/efi\/EFI\/[^/]+\/grubx64\.efi$/i),
    notes: missing.map((name) => `the repositories have no ${name}; what boots it is left out`),
  };
}

async function addBranding(from: UnpackedFiles | undefined, medium: string): Promise<PlaceholderValues> {
  if (from === undefined) return {};
  for (const name of ['EULA', 'LICENSES']) {
    const file = new RegExp(`(^|/)${name}$`);
    if (from.has(file)) await from.copyOne([file], medium, name);
  }
  const values: PlaceholderValues[] = [];
  for (const file of from.all(/(^|\/)branding(\.[a-z]+)?$/i))
    values.push(parseBranding(await readFile(file, 'utf8')));
  return Object.assign({}, ...values) as PlaceholderValues;
}

/** The regular files of an unpacked package. */
class UnpackedFiles {
  readonly #directory: string;
  readonly #package: string;
  readonly #names: readonly string[]; // relative, in order

  private constructor(directory: string, name: string, names: readonly string[]) {
    this.#directory = directory;
    this.#package = name;
    this.#names = names;
  }

  static async in(directory: string, name: string): Promise<UnpackedFiles> {
    const entries = await readdir(directory, { withFileTypes: true, recursive: true });
    const names = entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)));
    return new UnpackedFiles(directory, name, names.sort());
  }

  apply(place: BootPackage['place'], medium: string): Promise<void> {
    return place(this, medium);
  }

  has(pattern: RegExp): boolean {
    return this.#names.some((name) => pattern.test(name));
  }

  /** The files that match. */
  all(pattern: RegExp): string[] {
    return this.#names.filter((name) => pattern.test(name)).map((name) => path.join(this.#directory, name));
  }

  /** The first file that matches. Throws RepoError BAD_PACKAGE. */
  path(...patterns: readonly RegExp[]): string {
    const [found] = patterns.flatMap((pattern) => this.all(pattern));
    if (found !== undefined) return found;
    throw new RepoError(
      'BAD_PACKAGE',
      `${this.#package}: holds no file like ${patterns.map(({ source }) => source).join(' or ')}; the package is of another release than the layers`,
    );
  }

  async copyOne(patterns: readonly RegExp[], medium: string, to: string): Promise<void> {
    const target = path.join(medium, to);
    await mkdir(path.dirname(target), { recursive: true });
    await copyFile(this.path(...patterns), target);
  }
}
