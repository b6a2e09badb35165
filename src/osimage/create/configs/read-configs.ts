import { readdir } from 'node:fs/promises';
import { ImageError } from '../../../image/errors.js';
import { FOR_BUILD, readInstallerBootargs } from '../../../image/layer-read.js';
import { resolveLayers, type LayerDirectory } from '../../../image/layer-path.js';
import { distOf, templateTrees, type Dist, type TemplateKind } from '../../../image/layer-templates.js';
import { firstOf } from './config-files.js';
import { parsePackageList } from './package-list.js';
import { repositoryConfigs } from './repository-configs.js';
import type { CreateConfigs, CreateConfigsRequest } from './types.js';

/**
 * What the layers of `request` say of an installer that is made from packages. Throws ImageError NO_SUCH_LAYER,
 * BAD_LAYER for a file that is nowhere, that is empty or wrong (by file and line), and where there is no repository, and
 * BAD_SOURCE_URL for a source URL of a layer that is not used.
 */
export async function readCreateConfigs(request: CreateConfigsRequest): Promise<CreateConfigs> {
  const layers = await resolveLayers(request.spec, request.searchDirs);
  if (layers.length === 0)
    throw new ImageError('NO_SUCH_LAYER', `${JSON.stringify(request.spec)}: no layer; name one, as 8.3:updates`);
  const dist = distOf(layers);
  const list = await firstOf(layers, 'packages.lst');
  const packages = parsePackageList(list.text, list.where);
  const yumConf = await firstOf(layers, 'yum.conf.tmpl');
  const yumDownloadConf = await firstOf(layers, 'yumdl.conf.tmpl');
  const repositories = await repositoryConfigs(layers, dist, request);
  const lowestFirst = [...layers].reverse();
  const bootargs: string[] = [];
  for (const layer of lowestFirst) bootargs.push(...(await readInstallerBootargs(layer)));
  return {
    layers,
    dist: dist.dist,
    release: dist.release,
    packages,
    yumConf,
    yumDownloadConf,
    repositories,
    bootArguments: bootargs.join(' '),
    isoTemplates: await treesOf(lowestFirst, dist, 'iso'),
    installImageTemplates: await treesOf(lowestFirst, dist, 'installimg'),
    notes: await notesOf(layers),
  };
}

async function notesOf(layers: readonly LayerDirectory[]): Promise<string[]> {
  const notes: string[] = [];
  for (const { name, dir } of layers) {
    const found = (await readdir(dir)).filter((file) => FOR_BUILD.includes(file));
    if (found.length > 0)
      notes.push(`layer ${name}: ${found.sort().join(', ')} left for rackboot image build --layers ${name}`);
  }
  return notes;
}

async function treesOf(
  lowestFirst: readonly LayerDirectory[],
  dist: Dist,
  kind: TemplateKind,
): Promise<string[]> {
  const trees: string[] = [];
  for (const layer of lowestFirst) trees.push(...(await templateTrees(layer, dist, kind)));
  return trees;
}
