import { ImageError } from '../../../image/errors.js';
import type { LayerDirectory } from '../../../image/layer-path.js';
import type { Dist } from '../../../image/layer-templates.js';
import { parseYumConf } from '../yum-conf.js';
import { fillTemplate } from './placeholders.js';
import { configOf, firstOf } from './config-files.js';
import type { CreateConfigsRequest, RepositoryConfig } from './types.js';

/**
 * The files of yum.repos.d: each layer's yum-repos.conf.tmpl, then the first CUSTOMREPO.tmpl once for each repository
 * that was defined by hand. Throws ImageError BAD_LAYER, BAD_SOURCE_URL for one of a layer that is not used.
 */
export async function repositoryConfigs(
  layers: readonly LayerDirectory[],
  dist: Dist,
  request: CreateConfigsRequest,
): Promise<RepositoryConfig[]> {
  const { sourceUrls, definedRepositories, arch } = request;
  for (const name of sourceUrls.byLayer.keys()) requireLayer(name, layers);
  const all = sourceUrls.all ?? defaultUrl(dist, request.releaseUrls);
  const configs = new Map<string, RepositoryConfig>();
  const add = (name: string, text: string, where: string): void => {
    if (configs.has(name))
      throw new ImageError('BAD_LAYER', `${where}: a second repository file ${name}.repo; give one of the two another name`);
    if (requireRepositories(text, where)) configs.set(name, { name, text });
  };
  for (const layer of layers) {
    const template = await configOf(layer, 'yum-repos.conf.tmpl');
    if (template === undefined) continue;
    const url = sourceUrls.byLayer.get(layer.name) ?? all;
    add(layer.name, fillTemplate(template, { RPMARCH: arch, ...(url === undefined ? {} : { SRCURL: url }) }), template.where);
  }
  for (const { nick, url } of definedRepositories) {
    const template = await firstOf(layers, 'CUSTOMREPO.tmpl');
    add(nick, fillTemplate(template, { REPOID: nick, REPOURL: url, RPMARCH: arch }), `--define-repo ${nick}!${url}`);
  }
  if (configs.size > 0) return [...configs.values()];
  throw new ImageError(
    'BAD_LAYER',
    `no repository: none of ${layers.map(({ name }) => name).join(', ')} has yum-repos.conf.tmpl that holds one; add a layer such as updates, or give --define-repo NICK!URL`,
  );
}

/** Whether a file of repositories holds any. Throws ImageError BAD_LAYER for one that says not where it lies, which dnf passes over. */
function requireRepositories(text: string, where: string): boolean {
  const sections = parseYumConf({ where, text });
  for (const [section, names] of sections) {
    if (['baseurl', 'mirrorlist', 'metalink'].some((name) => names.has(name))) continue;
    throw new ImageError('BAD_LAYER', `${where}: [${section}] does not say where it lies; add baseurl=@@SRCURL@@/…`);
  }
  return sections.size > 0;
}

function requireLayer(name: string, layers: readonly LayerDirectory[]): void {
  if (layers.some((layer) => layer.name === name)) return;
  throw new ImageError(
    'BAD_SOURCE_URL',
    `--srcurl:${name}: no layer of that name is used; there are ${layers.map((layer) => layer.name).join(', ')}`,
  );
}

/** A release's URL; that of 8.3 for 8.3.0, too. */
function defaultUrl({ release }: Dist, urls: Readonly<Record<string, string>>): string | undefined {
  if (release === undefined) return undefined;
  const url = urls[release] ?? urls[release.split('.').slice(0, 2).join('.')];
  return url?.replace(/\/+$/, '');
}
