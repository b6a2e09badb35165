import { collect } from '../../image/chunks.js';
import { isDirectory, isRegular, S_IFMT, S_IFREG } from '../../image/cpio/header.js';
import { parentOf, pathFromText, pathToText, type ArchivePath } from '../../image/cpio/path.js';
import { indexEdits } from '../../image/drivers/depmod.js';
import { kernelsOf } from '../../image/drivers/module-tree.js';
import { contentOf, type Edit } from '../../image/edit.js';
import { layerEdits } from '../../image/layer.js';
import { readOverlay } from '../../image/layer-overlay.js';
import type { ArchivePreview } from '../../image/preview.js';
import type { ScratchBlobs } from '../../store/scratch-blobs.js';
import { CHANCE, CHANCE_NAMES, CONSOLES, DISABLED, ENABLED, LEFT_OUT } from './installer-system.js';
import { disableUnit, enableUnit, hasSystemd, hasUnit, symlink } from './units.js';

const at = pathFromText;

/** What is taken out of the root file system: as LEFT_OUT and CHANCE say, the kernels' own files, files that are emptied. */
export function removals({ tree }: ArchivePreview): Edit[] {
  const drop = (path: ArchivePath, from: string): Edit => ({ op: 'delete', path, required: false, from });
  const named = [...LEFT_OUT, ...CHANCE].filter((name) => tree.seek(at(name)) !== undefined);
  const below = (name: string): readonly ArchivePath[] =>
    tree
      .below(at(name))
      .map(({ path }) => path)
      .filter((path) => parentOf(path) === at(name));
  const matched = tree
    .below(at('/'))
    .filter(({ path }) => CHANCE_NAMES.some((name) => name.test(path)))
    .map(({ path }) => path);
  const caches = tree
    .below(at('/usr'))
    .filter(({ path, header }) => isDirectory(header.mode) && path.endsWith('/__pycache__'))
    .map(({ path }) => path);
  return [
    ...named.map((name) => drop(at(name), `leave out ${name}`)),
    ...below('/boot').map((path) => drop(path, 'leave out /boot')),
    ...matched.map((path) => drop(path, `leave out ${pathToText(path)}`)),
    ...caches.map((path) => drop(path, `leave out ${pathToText(path)}`)),
    ...['/etc/machine-id', '/etc/yum/yum.conf'].flatMap((name) => emptied(tree, name)),
  ];
}

function emptied(tree: ArchivePreview['tree'], name: string): Edit[] {
  const found = tree.seek(at(name));
  if (found === undefined || !isRegular(found.header.mode)) return [];
  const { mode, uid, gid } = found.header;
  return [
    { op: 'put', path: at(name), mode, uid, gid, content: contentOf(Buffer.alloc(0)), from: `empty ${name}` },
  ];
}

/** shadow(5) with no password changed later than `epoch`, in seconds: useradd writes the day on which it was run. */
export async function shadowEdits(image: ArchivePreview, epoch: number): Promise<Edit[]> {
  const found = image.tree.seek(at('/etc/shadow'));
  if (found === undefined || !isRegular(found.header.mode)) return [];
  const text = (await collect(image.read(found))).toString('latin1');
  const today = Math.floor(epoch / 86_400);
  const settled = text.replace(/^([^:\n]*:[^:\n]*:)(\d+):/gm, (line, before: string, day: string) =>
    Number(day) > today ? `${before}${today}:` : line,
  );
  if (settled === text) return [];
  const { mode, uid, gid } = found.header;
  const content = contentOf(Buffer.from(settled, 'latin1'));
  return [{ op: 'put', path: at('/etc/shadow'), mode, uid, gid, content, from: 'settle /etc/shadow' }];
}

/** The files of a template tree, root's, with the permissions that a checkout keeps: whether they are executable. */
export async function templateEdits(directory: string, blobs: ScratchBlobs): Promise<Edit[]> {
  const files = await readOverlay(directory, blobs);
  const plain = files.map((file) => {
    const type = file.mode & S_IFMT;
    if (type !== S_IFREG && !isDirectory(file.mode)) return file;
    const isExecutable = isDirectory(file.mode) || (file.mode & 0o111) !== 0;
    return { ...file, mode: type | (isExecutable ? 0o755 : 0o644) };
  });
  return layerEdits(directory, { version: 1, files: plain, removals: [], bootargs: '' }, blobs);
}

/** The first process, where no package brings /init: systemd, as the kernel starts /init of an initramfs. */
export function initEdits({ tree }: ArchivePreview): Edit[] {
  return tree.seek(at('/init')) === undefined ? [symlink(at('/init'), '/sbin/init', 'start /sbin/init')] : [];
}

/** The installer's own names for the licence and for the module that says what product it is. */
export function brandingLinks({ tree }: ArchivePreview): Edit[] {
  const installer = tree.seek(at('/opt/xensource/installer'));
  if (installer === undefined) return [];
  const branding = tree.below(at('/usr')).find(({ path }) => path.endsWith('/site-packages/xcp/branding.py'));
  const links: readonly (readonly [string, string | undefined])[] = [
    ['EULA', tree.seek(at('/EULA')) === undefined ? undefined : '../../../EULA'],
    ['version.py', branding === undefined ? undefined : pathToText(branding.path)],
  ];
  return links.flatMap(([name, target]) => {
    const path = at(`/opt/xensource/installer/${name}`);
    return target === undefined || tree.seek(path) !== undefined ? [] : [symlink(path, target, 'branding')];
  });
}

/** The services of the installer, where systemd starts the image. Throws OsimageError BAD_SOURCE. */
export async function serviceEdits(image: ArchivePreview): Promise<Edit[]> {
  if (!hasSystemd(image)) return [];
  const [own, plain] = CONSOLES;
  const edits: Edit[] = DISABLED.flatMap((unit) => disableUnit(image, unit));
  for (const unit of [ENABLED, hasUnit(image, own) ? own : plain])
    edits.push(...(await enableUnit(image, unit)));
  return edits;
}

/** The indexes of the modules of every kernel that the image has any for. Throws ImageError MISSING_TOOL, TOOL_FAILED. */
export async function moduleEdits(image: ArchivePreview): Promise<Edit[]> {
  const edits: Edit[] = [];
  for (const kernel of kernelsOf(image.tree))
    edits.push(...(await indexEdits(image, kernel, `depmod for ${kernel}`)));
  return edits;
}
