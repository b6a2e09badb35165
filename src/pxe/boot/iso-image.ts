import { nodeVariables, type EntryVariables } from '../../template/variables.js';
import { fillAnswer } from '../../osimage/answer.js';
import { ANSWER_URL } from '../../osimage/answer-on-iso.js';
import { isoArguments } from '../../osimage/family/iso-arguments.js';
import { isoFiles } from '../../osimage/family/layout.js';
import {
  defaultVolumeId,
  isoMark,
  isoOfGeneration,
  type IsoMenus,
  type IsoOptions,
} from '../../osimage/iso.js';
import { withMediaCheck } from '../../image/iso/media-check.js';
import type { IsoClaims } from '../../osimage/iso-statement.js';
import { HeldBlobs } from '../../osimage/held-blobs.js';
import { manifestOf, shortId } from '../../osimage/manifest.js';
import type { SiteConfig } from '../../site/config.js';
import { readBlob, type ExtentMap } from '../../store/extents.js';
import type { GenerationRecord, NodeRecord, Store, Timestamp } from '../../store/records.js';
import { signRun } from '../../node/run-token.js';
import { xcatVariables } from '../../node/xcat/kernel-line.js';
import { BootError } from './errors.js';
import { renderIsoConfigs } from './iso.js';
import { losesArchives } from './mboot.js';

export interface IsoImageOptions {
  readonly node?: NodeRecord; // whose ISO it is: it reports for this node and fetches its answer file
  readonly answerToken?: string; // for its answer file, made valid by the caller; without it one is issued
  readonly netinstall: boolean;
  readonly volumeId?: string;
  /** Puts the node's answer file on it, passwords and all; then no token is issued. */
  readonly answerOnIso?: boolean;
}

/** What making an ISO needs besides the generation. */
export interface IsoImageTools {
  readonly store: Store;
  readonly config: SiteConfig;
  readonly runKey: Buffer;
  readonly serverUrl: string; // how nodes reach HTTP, no final slash
  readonly now: () => Timestamp;
}

/** Seconds that the menu waits for a key. */
const MENU_TIMEOUT = 5;

/**
 * The ISO of a generation as an extent map over the store. An ISO for a node carries the right to report for the
 * node's present assignment, and a one-time answer file token for its reserved address. Throws BootError, TemplateError
 * BAD_TEMPLATE, ImageError.
 */
export async function isoImage(
  tools: IsoImageTools,
  record: GenerationRecord,
  options: IsoImageOptions,
): Promise<ExtentMap> {
  requireBootable(record);
  const variables = await isoVariables(tools, record, options);
  const answer = options.answerOnIso === true ? await answerText(tools.store, record, variables) : undefined;
  return layOut(tools.store, record, {
    netinstall: options.netinstall,
    menus: await renderMenus(tools.store, record, variables, options),
    ...(answer === undefined ? {} : { answer }),
    ...(options.volumeId === undefined ? {} : { volumeId: options.volumeId }),
    ...(options.node === undefined ? {} : { node: options.node.name }),
  });
}

/**
 * The ISO that `claims` are those of, made anew: the same bytes, if they are true. Issues no token, as a node's menus
 * are taken from the claims. Throws BootError, TemplateError, ImageError.
 */
export async function claimedIsoImage(
  tools: Pick<IsoImageTools, 'store' | 'config' | 'serverUrl'>,
  record: GenerationRecord,
  claims: IsoClaims,
): Promise<ExtentMap> {
  const { volumeId, netinstall, own } = claims;
  const menus =
    own?.menus ??
    (await renderMenus(tools.store, record, sharedVariables(tools, record), { netinstall, volumeId }));
  return layOut(tools.store, record, {
    netinstall,
    volumeId,
    menus,
    ...(own === undefined ? {} : { node: own.node }),
    ...(own?.answer === undefined ? {} : { answer: own.answer }),
  });
}

async function renderMenus(
  store: Store,
  record: GenerationRecord,
  variables: EntryVariables,
  { node, netinstall, volumeId }: Pick<IsoImageOptions, 'node' | 'netinstall' | 'volumeId'>,
): Promise<IsoMenus> {
  const manifest = manifestOf(record);
  const losing: string[] = [];
  for (const entry of manifest.boot) {
    const [path] = entry.initrds;
    if (entry.kind === 'xen' && path !== undefined && (await losesArchives(store.blobs, manifest, path)))
      losing.push(entry.label);
  }
  const place = {
    volumeId: volumeId ?? defaultVolumeId(record),
    netinstall,
    tree: variables.tree,
    answer: ANSWER_URL,
  };
  // What the node is set to starts by itself.
  const entries = manifest.boot.toSorted(
    (a, b) => Number(b.label === variables.entry) - Number(a.label === variables.entry),
  );
  return renderIsoConfigs(entries, variables, {
    title: `rackboot: ${record.osimage} generation ${record.number} (${shortId(record.id)})${node === undefined ? '' : ` for ${node.name}`}`,
    base: isoFiles(manifest.family),
    timeoutSeconds: MENU_TIMEOUT,
    serial: true,
    losing,
    ...(manifest.disc === undefined ? {} : { mark: isoMark(record) }),
    argumentsOf: (entry, words) => isoArguments(manifest.family, entry, words, place),
  });
}

async function layOut(
  store: Store,
  record: GenerationRecord,
  options: Omit<IsoOptions, 'date'>,
): Promise<ExtentMap> {
  const held = new HeldBlobs();
  const iso = await isoOfGeneration(store, held, record, {
    ...options,
    date: new Date(Math.floor(record.createdAt / 1000) * 1000),
  });
  const map = held.inline(iso.map);
  return manifestOf(record).family === 'el' ? withMediaCheck(map, store.blobs) : map;
}

function requireBootable(record: GenerationRecord): void {
  if (manifestOf(record).boot.length > 0) return;
  throw new BootError(
    'NOT_BOOTABLE',
    `osimage ${record.osimage} has nothing to boot; import its kernel with it (image import --kernel)`,
  );
}

function sharedVariables(
  tools: Pick<IsoImageTools, 'config' | 'serverUrl'>,
  record: GenerationRecord,
): EntryVariables {
  const { config, serverUrl: url } = tools;
  const manifest = manifestOf(record);
  const image = `${url}/images/${record.osimage}@${record.id}`;
  return {
    server: { url, address: new URL(url).hostname.replace(/^\[|\]$/g, '') },
    site: config.name,
    osimage: record.osimage,
    generation: record.id,
    entry: manifest.boot[0]?.label ?? '',
    settings: manifest.inputs.settings,
    files: `${image}/files`,
    tree: `${image}/tree`,
  };
}

async function isoVariables(
  tools: IsoImageTools,
  record: GenerationRecord,
  { node, answerToken, answerOnIso = false }: IsoImageOptions,
): Promise<EntryVariables> {
  const shared = sharedVariables(tools, record);
  if (node === undefined) return shared;
  const { config, serverUrl: url } = tools;
  const assignment = await tools.store.nodes.assignment(node.name);
  if (assignment?.state !== 'osimage' || assignment.osimage !== record.osimage) {
    throw new BootError(
      'NOT_ASSIGNED',
      `${node.name} is not set to install ${record.osimage}, so an ISO for it could not report; set it first: rackboot nodeset ${node.name} osimage=${record.osimage}`,
    );
  }
  const entry = assignment.entry ?? shared.entry;
  const run = signRun(tools.runKey, { node: node.name, since: assignment.since, generation: record.id });
  const token =
    answerOnIso || node.ip === null || manifestOf(record).answer === undefined
      ? undefined
      : (answerToken ??
        (await tools.store.tokens.issue({
          node: node.name,
          generation: record.id,
          client: node.ip,
          expiresAt: tools.now() + config.serve.holdGenerations * 1000,
        })));
  return {
    ...shared,
    node: nodeVariables(node),
    xcat: xcatVariables({
      node,
      settings: shared.settings,
      serverUrl: url,
      config,
      assignment,
    }),
    report: `${url}/nodes/${node.name}/report?run=${run}`,
    entry,
    ...(answerOnIso ? { answerfile: ANSWER_URL } : {}),
    ...(token === undefined
      ? {}
      : { answerfile: `${url}/nodes/${node.name}/answerfile?token=${token}.${run}` }),
  };
}

/** The answer file of the node of `variables`. Throws BootError NO_ANSWER, TemplateError and AnswerError. */
async function answerText(
  store: Store,
  record: GenerationRecord,
  { node, xcat, report, answerfile, ...shared }: EntryVariables,
): Promise<string> {
  const { answer, tree } = manifestOf(record);
  if (answer === undefined || node === undefined || xcat === undefined || report === undefined) {
    throw new BootError(
      'NO_ANSWER',
      node === undefined
        ? 'an answer file is a node’s own; name the node with --node'
        : `${record.osimage} has no answer file to put on its ISO; build it with a layer that has one`,
    );
  }
  const template = (await readBlob(store.blobs, answer.template)).toString('utf8');
  return fillAnswer(answer, template, tree, {
    ...shared,
    node,
    xcat,
    report,
    answerfile: answerfile ?? ANSWER_URL,
  });
}
