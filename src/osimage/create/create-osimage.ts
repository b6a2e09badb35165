import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Signer } from '../../repo/signing/signer.js';
import type { Store } from '../../store/records.js';
import { recogniseMedia } from '../families.js';
import { checkName, requireFree } from '../find.js';
import { publishImport, type ImportResult } from '../publish-import.js';
import { openSource } from '../source/open-source.js';
import { findBootPackages } from './boot-packages.js';
import { readCreateConfigs } from './configs/read-configs.js';
import type { CreateConfigsRequest } from './configs/types.js';
import { downloads, proxies, requirePrograms } from './downloads.js';
import { writeInstallImage } from './install-image.js';
import { installRoot, requireRunning } from './installed-root.js';
import { ERASED_PACKAGES } from './installer-system.js';
import { addBoot, beginMedium, finishMedium, treePackages } from './medium.js';
import { layPackageManager } from './package-manager.js';

/** Where the medium's GRUB comes from: the package grub-efi, or grub-mkimage of this machine. */
export type EfiInstaller = 'rpm' | 'mkimage';

/** An installer to make of packages. */
export interface CreateRequest {
  readonly osimage: string;
  readonly configs: CreateConfigsRequest;
  readonly netinstall: boolean; // without a tree of packages
  readonly extraPackages: readonly string[]; // in the tree, with what they need
  readonly efi: EfiInstaller;
  readonly acceptsFailedScripts: boolean;
  /** Gives what signs the tree; undefined leaves it unsigned. */
  readonly signer: () => Promise<Signer | undefined>;
  readonly epoch?: number; // SOURCE_DATE_EPOCH; without it the time at which the newest package was built
  readonly user: { readonly uid: number; readonly gid: number }; // of this process
  readonly signal: AbortSignal;
  readonly onStep: (line: string) => void;
  readonly onLine: (line: string) => void; // what package managers print
}

/**
 * Makes an osimage of the packages of repositories: the archive of its installer as create-installimg does, and its medium as
 * create-iso does, which is then imported as any vendor's. All of it happens in the store's scratch; nothing is visible
 * before it is whole. Throws OsimageError, ImageError, RepoError, StoreError.
 */
export async function createOsimage(store: Store, request: CreateRequest): Promise<ImportResult> {
  const { netinstall, extraPackages, onLine, signal } = request;
  const onStep = (line: string): void => {
    requireRunning(signal);
    request.onStep(line);
  };
  const name = checkName(request.osimage);
  await requireFree(store, name);
  const configs = await readCreateConfigs(request.configs);
  await requirePrograms();
  const { arch } = request.configs;
  const signer = netinstall ? undefined : await request.signer();
  return store.scratch(async (work) => {
    const medium = path.join(work, 'medium');
    await mkdir(medium);
    await beginMedium(medium, configs, work);
    const source = await layPackageManager(path.join(work, 'dnf-download'), {
      ...configs,
      configuration: configs.yumDownloadConf,
      arch,
    });
    const dnf = await layPackageManager(path.join(work, 'dnf'), {
      ...configs,
      configuration: configs.yumConf,
      arch,
    });
    const from = downloads(source, work, signal);
    const found = await findBootPackages(from, request.efi === 'rpm');
    const packages = netinstall ? undefined : await treePackages(from, extraPackages);
    onStep('boot files');
    const boot = await addBoot(medium, found, from, work);
    const started = Math.floor(Date.now() / 1000);
    onStep(`packages of the installer: ${configs.packages.join(' ')}`);
    const root = await installRoot({
      work,
      dnf,
      packages: configs.packages,
      erased: ERASED_PACKAGES,
      acceptsFailedScripts: request.acceptsFailedScripts,
      user: request.user,
      env: {
        ...proxies(),
        ...(request.epoch === undefined ? {} : { SOURCE_DATE_EPOCH: String(request.epoch) }),
      },
      signal,
      onLine,
    });
    const epoch = request.epoch ?? Math.max(0, ...root.headers.map(({ buildTime }) => buildTime));
    onStep(`install.img of ${root.headers.length} packages`);
    await writeInstallImage(path.join(medium, 'install.img'), {
      root,
      templates: configs.installImageTemplates,
      times: { epoch, started },
      work,
    });
    const notes = await finishMedium(medium, {
      boot,
      bootArguments: configs.bootArguments,
      downloads: from,
      packages,
      signer,
      epoch,
      work,
      onStep,
    });
    onStep('import');
    const imported = await importMedium(store, medium, name, `packages of ${request.configs.spec}`);
    return { ...imported, notes: [...configs.notes, ...root.notes, ...notes, ...imported.notes] };
  });
}

async function importMedium(store: Store, medium: string, name: string, from: string): Promise<ImportResult> {
  const source = await openSource(medium);
  try {
    const layout = await recogniseMedia(name, source, { family: 'xcp-ng' });
    const told = [...source.notes, ...layout.notes].map((line) => line.replaceAll(`${medium}/`, ''));
    return await publishImport(store, { name, from, layout: { ...layout, notes: told } }, {});
  } finally {
    await source.close();
  }
}
