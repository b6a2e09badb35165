import { messageOf, RackbootError } from '../errors.js';
import { fillAnswer } from '../osimage/answer.js';
import { findGeneration } from '../osimage/find.js';
import { manifestOf } from '../osimage/manifest.js';
import { readBlob } from '../store/extents.js';
import type { NodeRecord, Store } from '../store/records.js';
import { nodeVariables, sampleVariables } from '../template/variables.js';
import { NodeError } from './errors.js';
import type { ResolvedTarget } from './target.js';

/**
 * Makes the answer file of every node that `target` has install something, as each would get it, and checks it. Throws
 * NodeError BAD_ANSWER, naming the first node that would get none and why.
 */
export async function requireAnswers(
  store: Store,
  nodes: readonly NodeRecord[],
  target: ResolvedTarget,
): Promise<void> {
  if (target.kind !== 'osimage') return;
  const pin = target.generation === null ? '' : `@${target.generation}`;
  const record = await findGeneration(store, `${target.osimage}${pin}`);
  const { answer, tree, boot, inputs } = manifestOf(record);
  if (answer === undefined) return;
  const template = (await readBlob(store.blobs, answer.template)).toString('utf8');
  for (const node of nodes) {
    const variables = {
      ...sampleVariables(),
      node: nodeVariables(node),
      osimage: target.osimage,
      generation: record.id,
      entry: target.entry ?? boot[0]?.label ?? '',
      settings: inputs.settings,
    };
    try {
      fillAnswer(answer, template, tree, variables);
    } catch (error) {
      if (!(error instanceof RackbootError)) throw error;
      throw new NodeError('BAD_ANSWER', `${node.name} would get no answer file: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}
