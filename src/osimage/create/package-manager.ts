import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RepoError } from '../../repo/errors.js';
import { fillTemplate } from './configs/placeholders.js';
import type { ConfigTemplate, CreateConfigs } from './configs/types.js';
import { parseYumConf, withMainOptions } from './yum-conf.js';

/** Where dnf keeps what it needs while it works, inside the root that it works on. */
export const WORK_IN_ROOT = '.rackboot';

/** Repositories, and how dnf is to use them. */
export interface PackageSources extends Pick<CreateConfigs, 'repositories' | 'release'> {
  readonly configuration: ConfigTemplate; // yum.conf.tmpl or yumdl.conf.tmpl
  readonly arch: string; // RPM's name: x86_64
}

/**
 * Writes the configuration of dnf into `dir`: what the layers say of it, and where this program has the say. Gives back the
 * arguments that every call of dnf begins with. Nothing of this machine's configuration counts. Throws ImageError BAD_LAYER.
 */
export async function layPackageManager(dir: string, sources: PackageSources): Promise<string[]> {
  const repositories = path.join(dir, 'repos.d');
  const caches = `/${WORK_IN_ROOT}/cache`;
  const text = fillTemplate(sources.configuration, {
    YUMREPOSD: repositories,
    CACHEDIR: caches,
    ENABLE_PLUGINS: '0',
    RPMARCH: sources.arch,
  });
  parseYumConf({ where: sources.configuration.where, text });
  await mkdir(repositories, { recursive: true });
  for (const { name, text: repository } of sources.repositories)
    await writeFile(path.join(repositories, `${name}.repo`), repository);
  const file = path.join(dir, 'dnf.conf');
  await writeFile(
    file,
    withMainOptions(text, {
      reposdir: repositories,
      varsdir: path.join(dir, 'none'),
      cachedir: caches,
      logdir: `/${WORK_IN_ROOT}/log`,
      persistdir: `/${WORK_IN_ROOT}/state`,
      logfile: `/${WORK_IN_ROOT}/log/yum.log`,
      plugins: '1', // of dnf, by --enableplugin only
      history_record: '0',
      install_weak_deps: '0', // as yum, whose lists these are
      module_platform_id: 'platform:none',
      color: 'never',
      retries: '3',
    }),
  );
  return [
    `--config=${file}`,
    `--releasever=${sources.release ?? '1'}`,
    `--forcearch=${sources.arch}`,
    '--disableplugin=*',
    '--assumeyes',
  ];
}

/** What of dnf's complaints says why, on one line. */
export function dnfReason(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.replace(/^(?:Error:|\s*Problem(?: \d+)?:|\s*-)\s*/, '').trim())
    .filter((line) => line !== '' && !NOISE.test(line));
  return [...new Set(lines)].slice(0, 4).join('; ');
}

/** Advice that is for other users of dnf, headings, and bars that say how far a download is. */
const NOISE =
  /try to add|^Errors? during|^\[MIRROR\]|^Traceback|^Exiting due to strict|^Last metadata expiration| [kMG]?B\/s \|/i;

/** The error for a dnf that failed, by what it wrote to standard error; `what` is what was wanted. */
export function dnfError(what: string, output: string): RepoError {
  const said = output.split('\n').filter((line) => !/^(?:warning|Warning):/.test(line));
  const text = said.join('\n');
  const reason = dnfReason(text) || 'dnf does not say why';
  if (/No space left on device|more space needed/i.test(text))
    return new RepoError('NO_ACCESS', `${what}: ${reason}; free some space on the disk of the site's store`);
  if (
    /Failed to (?:download metadata|synchronize cache)|Cannot download|Curl error|Status code: \d+/i.test(
      text,
    )
  )
    return new RepoError('FETCH_FAILED', `${what}: ${reason}; see --srcurl and that the server answers`);
  if (/do not have any GPG public keys/.test(text))
    return new RepoError(
      'BAD_SIGNATURE',
      `${what}: gpgcheck is on, and no repository of the layers names the key that signed the packages; add gpgkey= to it`,
    );
  if (/GPG|public key|not signed|signature/i.test(text))
    return new RepoError(
      'BAD_SIGNATURE',
      `${what}: ${reason}; see gpgkey and gpgcheck in the layers' repositories`,
    );
  if (
    /Unable to find a match|conflicting requests|nothing provides|No package|none of the providers/i.test(
      text,
    )
  )
    return new RepoError(
      'UNRESOLVED',
      `${what}: ${reason}; see packages.lst, --extra-packages and the repositories of the layers`,
    );
  return new RepoError('TOOL_FAILED', `${what}: ${reason}`);
}

/** The error for an rpm that failed, by what it wrote to standard error; `what` is what was to be installed. */
export function rpmError(what: string, output: string): RepoError {
  const errors = [...output.matchAll(/^error: (.+)$/gm), ...output.matchAll(/^\s+(installing package .+)$/gm)]
    .map(([, text = '']) => text)
    .filter((text) => !/: install failed$|^Failed dependencies:$/.test(text));
  const reason = [...new Set(errors)].slice(0, 3).join('; ') || 'rpm does not say why';
  return /No space left|needs \S+ more (?:space|inodes)|disk is full/i.test(output)
    ? new RepoError('NO_ACCESS', `${what}: ${reason}; free some space on the disk of the site's store`)
    : new RepoError('TOOL_FAILED', `${what} cannot be installed: ${reason}`);
}
