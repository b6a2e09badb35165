import { messageOf, RackbootError } from '../errors.js';
import type { AssignmentRecord, ChainStep, NodeRecord, Store } from '../store/records.js';
import { NodeError } from './errors.js';
import { isKnowable } from './nodes.js';
import type { NodeChoice } from './nodeset.js';
import {
  resolveOsimage,
  type OsimageTarget,
  type ResolvedTarget,
  type Target,
  type TargetChain,
} from './target.js';

/**
 * What `request` comes to for each of `nodes`: its target with what exists of that name, or why the node cannot be set
 * to it. `genesis` is the osimage of xCAT's genesis. Throws OsimageError or NodeError for what is wrong for every node.
 */
export async function chooseTargets(
  store: Pick<Store, 'osimages'>,
  nodes: readonly NodeRecord[],
  current: ReadonlyMap<string, AssignmentRecord>,
  request: TargetChain,
  genesis: string,
): Promise<readonly NodeChoice[]> {
  const chooser = new Chooser(store, genesis);
  for (const target of [request.first, ...request.later]) {
    if (target.kind !== 'own-osimage') await chooser.resolve(target, undefined, undefined);
  }
  const choices: NodeChoice[] = [];
  for (const node of nodes) {
    try {
      const before = current.get(node.name);
      const target = await chooser.resolve(request.first, node, before);
      const chain: ChainStep[] = [];
      for (const later of request.later) chain.push(stepOf(await chooser.resolve(later, node, before)));
      requireBootable(node, target);
      const line = request.lines?.get(node.name);
      choices.push({ node, target, chain, ...(line === undefined ? {} : { line }) });
    } catch (error) {
      if (!(error instanceof RackbootError)) throw error;
      choices.push({ node, refused: messageOf(error) });
    }
  }
  return choices;
}

class Chooser {
  readonly #known = new Map<string, Promise<OsimageTarget>>();

  constructor(
    private readonly store: Pick<Store, 'osimages'>,
    private readonly genesis: string,
  ) {}

  async resolve(
    target: Target,
    node: NodeRecord | undefined,
    before: AssignmentRecord | undefined,
  ): Promise<ResolvedTarget> {
    switch (target.kind) {
      case 'boot':
      case 'offline':
        return target;
      case 'osimage':
        return this.#osimage(target);
      case 'genesis':
        return { ...(await this.#genesis(target.destiny)), destiny: target.destiny };
      case 'own-osimage':
        return this.#osimage(ownOsimage(node, before));
    }
  }

  #osimage(target: OsimageTarget): Promise<OsimageTarget> {
    const key = JSON.stringify([target.osimage, target.generation, target.entry]);
    const known = this.#known.get(key) ?? resolveOsimage(target, this.store);
    this.#known.set(key, known);
    return known;
  }

  async #genesis(destiny: string): Promise<OsimageTarget> {
    if ((await this.store.osimages.get(this.genesis)) === undefined) {
      throw new NodeError(
        'NO_SUCH_ENTRY',
        `${destiny} boots the osimage '${this.genesis}' (xcat.genesis in rackboot.yaml), and there is none; import xCAT's genesis: rackboot image import DIR --name ${this.genesis}`,
      );
    }
    return this.#osimage({ kind: 'osimage', osimage: this.genesis, generation: null, entry: null });
  }
}

function ownOsimage(node: NodeRecord | undefined, before: AssignmentRecord | undefined): OsimageTarget {
  const last = before?.destiny === undefined ? before?.osimage : undefined;
  const osimage = node?.attributes['provmethod'] ?? last ?? undefined;
  if (osimage !== undefined) return { kind: 'osimage', osimage, generation: null, entry: null };
  throw new NodeError(
    'BAD_TARGET',
    'no osimage is named for it; write osimage=NAME, or set its attribute provmethod',
  );
}

/** What a node that boots over the network must have. Throws NodeError. */
function requireBootable(node: NodeRecord, target: ResolvedTarget): void {
  if (target.kind !== 'osimage') return;
  if (!isKnowable(node)) {
    throw new NodeError(
      'BAD_MAC',
      `no MAC address is known of it; give it with: rackboot node set ${node.name} --mac MAC`,
    );
  }
  const { serialport, serialspeed } = node.attributes;
  if (serialport !== undefined && serialspeed === undefined) {
    throw new NodeError(
      'BAD_ATTRIBUTE',
      `serialport is set and serialspeed is not; set it with: rackboot node set ${node.name} --attr serialspeed=115200`,
    );
  }
}

function stepOf(target: ResolvedTarget): ChainStep {
  if (target.kind !== 'osimage') return { state: target.kind, osimage: null, entry: null };
  const { osimage, entry, destiny } = target;
  return { state: 'osimage', osimage, entry, ...(destiny === undefined ? {} : { destiny }) };
}
