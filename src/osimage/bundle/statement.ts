import * as z from 'zod';
import type { ArchiveCuts } from '../../image/archive-cuts.js';
import type { Digest } from '../../store/digest.js';
import { OsimageError } from '../errors.js';
import { FAMILIES } from '../families.js';
import { canonicalJson } from '../generation-id.js';
import type { BootEntry, Family } from '../types.js';

/** What a bundle's statement is called beside xCAT's manifest.xml. */
export const XCAT_STATEMENT = 'rackboot.json';

/** The most that a statement may come to, bytes: a tree of 100,000 packages takes a fifth of it. */
export const MAX_STATEMENT = 64 * 1024 * 1024;

/** The programs that compress an archive whole, and whose streams are otherwise taken apart. */
export const WHOLE_CODECS = ['gzip', 'pigz', 'bzip2'] as const;

const isPlainPath = (text: string): boolean =>
  text.split('/').every((part) => part !== '' && part !== '.' && part !== '..') &&
  !/[\x00-\x1f\x7f]/.test(text);

const pathText = z.string().max(4096).refine(isPlainPath, 'no path below the bundle');
const digest = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .transform((text) => text as Digest);
const count = z.number().int().nonnegative();
const words = z.string().max(65_536);
const file = z.strictObject({ path: pathText, size: count, sha256: digest });

const entryBase = {
  label: z.string().regex(/^[a-z0-9-]+$/),
  title: z.string().max(1000),
  kernel: pathText,
  args: words,
  initrds: z.array(pathText),
};
const bootEntry = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('linux'),
    ...entryBase,
    efiProgram: pathText.optional(),
    firmware: z.enum(['bios', 'uefi']).optional(),
  }),
  z.strictObject({ kind: z.literal('xen'), ...entryBase, hypervisor: pathText, hypervisorArgs: words }),
]);

const schema = z.strictObject({
  rackboot: z.literal(1),
  osimage: z.string().max(64),
  family: z.enum(FAMILIES as readonly [Family, ...Family[]]),
  files: z.array(file),
  archive: z
    .strictObject({
      path: pathText,
      cuts: z.array(z.array(z.tuple([count, count]))),
      whole: z.enum(WHOLE_CODECS).optional(),
    })
    .optional(),
  tree: z.array(file),
  boot: z.array(bootEntry),
  disc: z
    .strictObject({
      volumeId: z.string().max(128).optional(),
      bios: z
        .strictObject({ image: file, bootCode: file.optional(), isGrub: z.literal(true).optional() })
        .optional(),
      uefi: z.strictObject({ image: file }).optional(),
      catalog: pathText,
      isolinuxMenus: z.array(pathText),
      grubMenus: z.array(pathText),
    })
    .optional(),
  attached: z
    .strictObject({
      files: z.array(file),
      extras: z.array(z.strictObject({ src: z.string().max(4096), dest: z.string().max(4096) })),
    })
    .optional(),
  answer: z.strictObject({ name: z.string().max(1000), file }).optional(),
  settings: z.record(z.string().max(200), z.string().max(65_536)),
  engine: z.string().max(200),
  origin: z
    .strictObject({ imported: z.string().max(200), media: digest, epoch: count.optional() })
    .optional(),
});

/** A file of a bundle as its statement lists it. */
export interface StatedFile {
  readonly path: string;
  readonly size: number; // bytes
  readonly sha256: Digest;
}

/** What a bundle says of its osimage: manifest.json of rackboot's own bundles, rackboot.json in xCAT's. */
export interface Statement {
  readonly rackboot: 1; // version of the format
  readonly osimage: string;
  readonly family: Family;
  readonly files: readonly StatedFile[]; // boot files and archive, below files/
  readonly archive?: {
    readonly path: string;
    readonly cuts: ArchiveCuts;
    readonly whole?: (typeof WHOLE_CODECS)[number]; // what compressed it, where that was a program and all at once
  };
  readonly tree: readonly StatedFile[]; // below tree/
  readonly boot: readonly BootEntry[];
  /** The media's own loaders, below disc/. */
  readonly disc?: {
    readonly volumeId?: string;
    readonly bios?: { readonly image: StatedFile; readonly bootCode?: StatedFile; readonly isGrub?: true };
    readonly uefi?: { readonly image: StatedFile };
    readonly catalog: string;
    readonly isolinuxMenus: readonly string[];
    readonly grubMenus: readonly string[];
  };
  readonly attached?: {
    readonly files: readonly StatedFile[]; // below attached/
    readonly extras: readonly { readonly src: string; readonly dest: string }[];
  };
  readonly answer?: { readonly name: string; readonly file: StatedFile };
  readonly settings: Readonly<Record<string, string>>;
  readonly engine: string; // what compressed the archive
  /** Where nothing was changed since the import: what gives the same generation's id. */
  readonly origin?: { readonly imported: string; readonly media: Digest; readonly epoch?: number };
}

/** The statement in `text`, which `where` names. Throws OsimageError BAD_BUNDLE. */
export function parseStatement(text: string, where: string): Statement {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new OsimageError('BAD_BUNDLE', `${where}: is no JSON; export the osimage again`, { cause: error });
  }
  if (typeof value === 'object' && value !== null && 'rackboot' in value && Number(value.rackboot) > 1) {
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: version ${String(value.rackboot)}; a newer rackboot wrote it, upgrade this one`,
    );
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new OsimageError(
      'BAD_BUNDLE',
      `${where}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}; export the osimage again`,
    );
  }
  return parsed.data as Statement;
}

/** A statement as the bytes of its file; the same statement always gives the same bytes. */
export function encodeStatement(statement: Statement): Buffer {
  return Buffer.from(`${canonicalJson(statement)}\n`);
}
