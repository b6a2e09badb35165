import type { Digest } from '../../store/digest.js';
import type { BlobReader } from '../../store/types.js';
import { canonicalPath, type ArchivePath } from '../cpio/path.js';
import { S_IFREG } from '../cpio/header.js';
import { blobContent, type Edit } from '../edit.js';
import { ImageError } from '../errors.js';
import type { LayerFile } from '../layer.js';

/** A kernel module of a layer, decompressed. */
export interface DriverModule {
  readonly kernel: string; // release that it is built for, by its vermagic
  readonly name: string; // foo.ko
  readonly size: number; // bytes
  readonly blob: Digest;
  /** Where it came from, for messages: `drivers/foo.ko.xz`. */
  readonly source: string;
  /** What has to hold a module for the image's kernel: all directories `drivers/<kver>/` as one, else the file itself. */
  readonly group: string;
}

/** What a layer's `drivers/` holds. */
export interface DriverSet {
  readonly modules: readonly DriverModule[]; // in order of kernel and name
  readonly firmware: readonly LayerFile[]; // below lib/firmware, in order of their paths' bytes
  /** The depmod that is to index the modules, so that another one makes another generation; none where there are none. */
  readonly depmod?: string;
}

/** Every blob of a set. */
export function* driverBlobs({ modules, firmware }: DriverSet): Generator<Digest> {
  for (const { blob } of modules) yield blob;
  for (const { blob } of firmware) if (blob !== undefined) yield blob;
}

/** Where modules that replace or add to a kernel's own lie: depmod prefers them (depmod.d(5), `search`). */
const updatesOf = (kernel: string): string => `lib/modules/${kernel}/updates`;

/** What placing modules takes to know of an image. */
export interface ModuleTarget {
  readonly kernels: readonly string[]; // releases that it has modules for, or boots
  /** Whether a file stands at a path. */
  holds(path: ArchivePath): boolean;
}

/**
 * What puts the modules of a set into an image. Those for kernels that it has not are left out; throws ImageError
 * WRONG_KERNEL when that leaves nothing of a group. `from` is for messages.
 */
export function moduleEdits(
  { modules }: DriverSet,
  image: ModuleTarget,
  blobs: BlobReader,
  from: string,
): Edit[] {
  const fitting = modules.filter(({ kernel }) => image.kernels.includes(kernel));
  const groups = new Set(fitting.map(({ group }) => group));
  const stranded = modules.find(({ group }) => !groups.has(group));
  if (stranded !== undefined) {
    const has = image.kernels.join(', ') || 'no kernel modules, and a kernel of unknown version';
    throw new ImageError(
      'WRONG_KERNEL',
      `${from}: ${stranded.source} is built for kernel ${stranded.kernel}, the image has ${has}; get the driver for the image's kernel`,
    );
  }
  return fitting.flatMap(({ kernel, name, size, blob, source }): Edit[] => {
    const path = canonicalPath(`${updatesOf(kernel)}/${name}`);
    const shared = { from: `${from}: ${source}` };
    const compressed = ['gz', 'xz', 'zst'].map((suffix) => canonicalPath(`${path}.${suffix}`));
    const content = blobContent(blob, size, blobs);
    return [
      ...compressed
        .filter((old) => image.holds(old))
        .map((old): Edit => ({ op: 'delete', path: old, required: false, ...shared })),
      { op: 'put', path, mode: S_IFREG | 0o644, uid: 0, gid: 0, content, ...shared },
    ];
  });
}
