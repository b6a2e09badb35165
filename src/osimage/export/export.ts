import { readBlob, readRange } from '../../store/extents.js';
import type { GenerationRecord } from '../../store/records.js';
import type { BlobReader } from '../../store/types.js';
import { STATEMENT } from '../bundle/detect.js';
import { encodeStatement } from '../bundle/statement.js';
import { OsimageError } from '../errors.js';
import { artifactMap, manifestOf } from '../manifest.js';
import type { Artifact, GenerationManifest } from '../types.js';
import { xcatMembers, type XcatExtras } from '../xcat/bundle/members.js';
import { ANSWER, BOOT_CODE, isAsImported, statementOf } from './statement.js';
import { gzippedTar, literal, plainSize, type Member } from './tar-members.js';

/** What is exported besides the generation. */
export interface ExportOptions extends XcatExtras {
  readonly epoch?: number; // the time of the bundle's files, seconds; else when the generation was made
}

/** A bundle that is ready to be written. */
export interface Bundle {
  readonly plainSize: number; // bytes before compression, about
  readonly mode: number; // of its file, before the umask
  readonly notes: readonly string[];
  /** Its bytes, the same each time. Call it while the generation is held. */
  read(onBytes?: (done: number, member: string) => void): AsyncIterable<Buffer>;
}

/**
 * A generation as a bundle: xCAT's for its stateless images, which its imgimport takes; else rackboot's own. Either way
 * `image import` makes the same osimage of it. Throws OsimageError BAD_SETTING, BAD_BUNDLE.
 */
export async function bundleOf(
  blobs: BlobReader,
  record: GenerationRecord,
  options: ExportOptions,
): Promise<Bundle> {
  const manifest = manifestOf(record);
  const statement = await statementOf(record.osimage, manifest, blobs);
  const read = (path: string, artifact: Artifact): Promise<Member> => memberOf(blobs, path, artifact);
  const { members, notes } =
    manifest.family === 'xcat'
      ? await xcatMembers(record.osimage, manifest, statement, options, read)
      : { members: await ownMembers(blobs, manifest, options, read), notes: [] };
  const all =
    manifest.family === 'xcat' ? members : [literal(STATEMENT, encodeStatement(statement)), ...members];
  const isSecret =
    manifest.answer !== undefined ||
    (manifest.family !== 'xcat' && Object.keys(manifest.inputs.settings).length > 0);
  const time = options.epoch ?? Math.floor(record.createdAt / 1000);
  return {
    plainSize: plainSize(all),
    mode: isSecret ? 0o600 : 0o666,
    notes: isAsImported(manifest)
      ? notes
      : [
          ...notes,
          'what layers and changes made of it is in the bundle, not the layers and changes: imported, it is a generation of its own',
        ],
    read: (onBytes) => gzippedTar(all, time, onBytes),
  };
}

async function memberOf(blobs: BlobReader, path: string, artifact: Artifact): Promise<Member> {
  const map = await artifactMap(blobs, artifact);
  return { path, mode: 0o644, size: map.size, read: () => readRange(map, blobs, 0, map.size) };
}

async function ownMembers(
  blobs: BlobReader,
  { files, tree, disc, attached, answer }: GenerationManifest,
  { extras, postscripts }: ExportOptions,
  read: (path: string, artifact: Artifact) => Promise<Member>,
): Promise<Member[]> {
  if (extras.length > 0 || postscripts !== undefined) {
    throw new OsimageError(
      'BAD_BUNDLE',
      'only bundles of xCAT’s have extras and postscripts; leave --extra and --postscripts out',
    );
  }
  const code = disc?.bios?.bootCode;
  const below = (directory: string, artifacts: readonly Artifact[]): Promise<Member>[] =>
    artifacts.map((artifact) => read(`${directory}/${artifact.path}`, artifact));
  const loaders = [disc?.bios?.image, disc?.uefi?.image].filter((image) => image !== undefined);
  return [
    ...(answer === undefined ? [] : [literal(ANSWER, await readBlob(blobs, answer.template), 0o600)]),
    ...(await Promise.all(below('files', files))),
    ...(await Promise.all(below('attached', attached?.files ?? []))),
    ...(await Promise.all(below('disc', loaders))),
    ...(code === undefined ? [] : [literal(`disc/${BOOT_CODE}`, await readBlob(blobs, code))]),
    ...(await Promise.all(below('tree', tree))),
  ];
}
