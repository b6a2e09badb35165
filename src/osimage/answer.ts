import { releaseOf } from '../answer/release.js';
import { renderAnswer } from '../answer/render.js';
import type { Release } from '../answer/rule.js';
import { collect } from '../image/chunks.js';
import type { LayerSnapshot } from '../image/layer.js';
import { readBlob, readRange } from '../store/extents.js';
import type { BlobReader } from '../store/types.js';
import type { BootVariables } from '../template/variables.js';
import { parseTreeinfo, productOf, TREEINFO } from '../repo/treeinfo.js';
import { artifactMap } from './manifest.js';
import { SAMPLE_VALUE, sampleNode } from './templates.js';
import type { AnswerTemplate, Artifact, Family, GenerationManifest } from './types.js';

/** So much of a `.treeinfo` is read, in bytes. */
const MAX_TREEINFO = 1024 * 1024;

/** Whether the metadata of an install tree is signed: then its installer must check it. */
export function isSigned(tree: readonly Pick<Artifact, 'path'>[]): boolean {
  return tree.some(({ path }) => path === 'repodata/repomd.xml.asc');
}

/**
 * The answer template of the highest of `layers` that has one, tried with a node that has every attribute. Throws
 * TemplateError BAD_TEMPLATE and AnswerError BAD_ANSWERFILE, by file and line.
 */
export async function answerOf(
  blobs: BlobReader,
  layers: readonly LayerSnapshot[],
  manifest: Pick<GenerationManifest, 'family' | 'tree'>,
  settings: Readonly<Record<string, string>>,
): Promise<AnswerTemplate | undefined> {
  const found = layers.find((layer) => layer.answer !== undefined)?.answer;
  if (found === undefined) return undefined;
  const release = await releaseOfTree(blobs, manifest.family, manifest.tree);
  const answer: AnswerTemplate = {
    ...found,
    contentType: release === undefined ? 'text/plain; charset=utf-8' : 'application/xml',
    ...(release === undefined ? {} : { release }),
  };
  const template = (await readBlob(blobs, answer.template)).toString('utf8');
  fillAnswer(answer, template, manifest.tree, sampleNode(settings), { sample: SAMPLE_VALUE });
  return answer;
}

/**
 * The answer file that `template`, the text of `answer`, becomes for the node of `variables`, checked where its family's
 * answer files can be. Throws TemplateError BAD_TEMPLATE and AnswerError BAD_ANSWERFILE.
 */
export function fillAnswer(
  answer: Pick<AnswerTemplate, 'name' | 'release'>,
  template: string,
  tree: readonly Pick<Artifact, 'path'>[],
  variables: BootVariables,
  options: { readonly sample?: RegExp } = {},
): string {
  const signed = isSigned(tree);
  const { name, release } = answer;
  const setting = release === undefined ? undefined : { release, signed, ...options };
  return renderAnswer(template, name, { ...variables, signed }, setting);
}

/** Which installer the tree is of; undefined for families whose answer files have no schema here. */
async function releaseOfTree(
  blobs: BlobReader,
  family: Family,
  tree: readonly Artifact[],
): Promise<Release | undefined> {
  if (family !== 'xcp-ng') return undefined;
  const treeinfo = tree.find(({ path }) => path === TREEINFO);
  if (treeinfo === undefined) return releaseOf(undefined);
  const map = await artifactMap(blobs, treeinfo);
  const text = await collect(readRange(map, blobs, 0, Math.min(map.size, MAX_TREEINFO)));
  return releaseOf(productOf(parseTreeinfo(text.toString('utf8'), TREEINFO)));
}
