import type { Release } from '../answer/rule.js';
import type { Digest } from '../store/digest.js';

/** How an osimage boots and where its parts lie (docs/design.md, "Words"). */
export type Family = 'debian-installer' | 'generic' | 'xcp-ng' | 'el' | 'xcat';

/** One file of a generation as a client downloads it. */
export interface Artifact {
  /** Path below `files/` or `tree/`: relative, `/`-separated, no `.` or `..` component. */
  readonly path: string;
  readonly size: number; // bytes
  readonly sha256: Digest; // of the whole file: its strong ETag
  readonly map: Digest; // blob holding the encoded extent map (store/extents.ts: encodeMap)
}

/** What every boot entry has. Paths are those of artifacts below `files/`. */
interface EntryBase {
  readonly label: string; // [a-z0-9-]+, `nodeset osimage=N:label`
  readonly title: string;
  readonly kernel: string;
  /** The kernel line, words separated by blanks. May hold Liquid expressions over template/variables.ts. */
  readonly args: string;
}

/** A Linux kernel and the archives that it unpacks, in order. */
export interface LinuxEntry extends EntryBase {
  readonly kind: 'linux';
  readonly initrds: readonly string[];
  /** What UEFI starts in the kernel's place: an EFI program, as memory tests bring one. */
  readonly efiProgram?: string;
  /** The only firmware that the kernel starts on; without it, any. */
  readonly firmware?: 'bios' | 'uefi';
}

/** The Xen hypervisor with its first guest (dom0): `kernel`, `args` and at most one archive, which Xen hands on. */
export interface XenEntry extends EntryBase {
  readonly kind: 'xen';
  readonly hypervisor: string;
  readonly hypervisorArgs: string; // as `args`
  readonly initrds: readonly string[]; // at most one
}

/**
 * What to boot, once, for every loader: iPXE, PXELINUX, GRUB and the ISO's menus are all rendered from it.
 */
export type BootEntry = LinuxEntry | XenEntry;

/** The answer file of a generation: a Liquid template with strict variables, rendered for each node that asks. */
export interface AnswerTemplate {
  readonly template: Digest; // blob holding the template's text
  readonly name: string; // where it came from: `configs/debian-installer/answerfile.liquid`
  readonly contentType: string;
  /** Whose installer reads it, where answer files are checked for it. */
  readonly release?: Release;
}

/**
 * How the media that was imported boots as an ISO: its own loaders, which every ISO of the osimage gets again. Their
 * menus are made anew. Paths are those on the ISO.
 */
export interface MediaDisc {
  readonly volumeId?: string;
  /** ISOLINUX or GRUB; `bootCode` is the blob of what starts it where the ISO is a disk. */
  readonly bios?: {
    readonly image: Artifact;
    readonly bootCode?: Digest;
    readonly isGrub?: true; // else ISOLINUX
  };
  /** The FAT image that UEFI starts from; GRUB menus in it are made anew too. */
  readonly uefi?: { readonly image: Artifact };
  readonly catalog: string; // the El Torito catalog
  readonly isolinuxMenus: readonly string[];
  readonly grubMenus: readonly string[];
}

/** Everything a generation is made of; immutable, stored as JSON with the generation's row. */
export interface GenerationManifest {
  readonly version: 1;
  readonly family: Family;
  /** Boot files and archives, below /images/<osimage>@<generation>/files/. */
  readonly files: readonly Artifact[];
  /** The install tree, below /images/<osimage>@<generation>/tree/. */
  readonly tree: readonly Artifact[];
  /** What layers changed in the install tree. */
  readonly treeChanges?: TreeChanges;
  /** The first entry is the default. */
  readonly boot: readonly BootEntry[];
  /** The same entries before layers added their arguments. */
  readonly bootBase: readonly BootEntry[];
  readonly answer?: AnswerTemplate;
  /** How an ISO of it boots, where the media brought its own loaders; else by Debian's. */
  readonly disc?: MediaDisc;
  /** Files that came with it and are not served. */
  readonly attached?: Attached;
  /** Archive descriptor blob (image/archive.ts) of each editable artifact, by artifact path. */
  readonly archives: Readonly<Record<string, Digest>>;
  /** The same archives as they were imported: what every build starts from. */
  readonly bases: Readonly<Record<string, Digest>>;
  /** What was built from what: the input of the generation's id. */
  readonly inputs: GenerationInputs;
}

/** What an osimage of xCAT has besides its boot files: lists, scripts and extras, for its bundle. */
export interface Attached {
  /** By their paths in the bundle's directory: `compute.exlist`, `extra/notes.txt`. */
  readonly files: readonly Artifact[];
  /** Where extras are from, and where imgimport puts them. */
  readonly extras: readonly { readonly src: string; readonly dest: string }[];
}

/** How an install tree differs from the media's. */
export interface TreeChanges {
  readonly made: Digest; // over what the changes were made of: the same gives the same tree
  readonly added: readonly string[]; // paths that the media does not have, or otherwise
  readonly replaced: readonly Artifact[]; // the media's, that are not in the tree
}

/** An archive that was made of a directory. */
export interface PackedArchive {
  readonly descriptor: Digest; // blob holding the archive's descriptor
  readonly layers: readonly Digest[]; // layers that are in it; when a build has others, they are applied to it
  readonly servedAs?: string; // its name below files/, where its form is not that of the import
  /** Blob with the marks of the files it was made of (image/unpacked/file-marks.ts); not part of the id. */
  readonly marks?: Digest;
}

/** The inputs a generation's id is the digest of. */
export interface GenerationInputs {
  readonly engine: string; // what compressed this generation (ENGINE of generation-id.ts)
  readonly imported: string; // what compressed the archives at their import
  readonly media: Digest; // digest over the imported files' paths and digests, as the vendor shipped them
  /** Highest first; each digest is that of the layer's snapshot blob (image/layer.ts: LayerSnapshot). */
  readonly layers: readonly { readonly name: string; readonly digest: Digest }[];
  readonly edits: readonly AdHocEdit[]; // `image put`, `delete`, `chmod`, `edit`, oldest first
  /** By archive: one that `image pack` made, in place of what the media held and of edits before. */
  readonly packed?: Readonly<Record<string, PackedArchive>>;
  /** Where layers change the install tree: what reads packages, and what signs, by its key; unsigned without. */
  readonly repository?: { readonly reader: string; readonly signer?: string };
  readonly settings: Readonly<Record<string, string>>; // --set key=value; `settings.key` in templates
  readonly epoch?: number; // SOURCE_DATE_EPOCH, where it was set: the time of new entries, seconds
  /** How the layers were asked for, `L[:L…]` with absolute paths; not part of the id. */
  readonly layerSpec: string;
}

/**
 * One ad-hoc change, as recorded in a generation's inputs. Paths are absolute inside the archive; `part` counts the
 * archives of the file from 1, and without it the change is to what the node sees of all of them.
 */
export type AdHocEdit = { readonly part?: number } & (
  | {
      readonly op: 'put';
      readonly archive: string;
      readonly path: string;
      readonly blob: Digest;
      readonly size: number;
      readonly mode: number; // st_mode, type bits included
    }
  | { readonly op: 'delete'; readonly archive: string; readonly path: string }
  | { readonly op: 'chmod'; readonly archive: string; readonly path: string; readonly mode: number }
  | {
      readonly op: 'edit'; // what a command changed
      readonly archive: string;
      readonly command: string; // as a person would type it
      readonly changes: Digest; // blob holding it as a layer's snapshot (image/layer.ts: encodeSnapshot)
    }
);
