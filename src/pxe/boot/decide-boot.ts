import { messageOf, RackbootError } from '../../errors.js';
import { nodeVariables, type BootVariables } from '../../template/variables.js';
import { signRun, type Run } from '../../node/run-token.js';
import { xcatVariables } from '../../node/xcat/kernel-line.js';
import { shortId } from '../../osimage/manifest.js';
import type { AssignmentRecord, EventRecord, NodeRecord } from '../../store/records.js';
import { BootError } from './errors.js';
import type { ServedGeneration } from './generations.js';
import { planEntry, type BootPlan, type PlanFacts, type SystemBoot } from './plan.js';
import type { BootService } from './service.js';

/** Who asks for a node's boot script, and in which loader's language. */
export interface BootRequest {
  readonly node: NodeRecord;
  readonly client: string; // address
  readonly render: (plan: BootPlan) => string; // throws BootError for what the loader cannot be told
}

/**
 * The boot script of what the node is to do now. Only its own address is given tokens, and asking changes nothing but
 * what lets the boot go on: the one-time token, the lease on its generation, an event. A boot that cannot be described,
 * or not in this loader's language, falls back to the local disk and says why.
 */
export async function bootScript(service: BootService, request: BootRequest): Promise<string> {
  const { node, render } = request;
  const assignment = await service.store.nodes.assignment(node.name);
  try {
    const generation = await generationFor(service, assignment);
    if (assignment === undefined || generation === undefined)
      return await bootLocally(service, request, reasonFor(assignment));
    const plan = await planInstall(service, request, assignment, generation);
    const script = render(plan);
    await record(service, request, { stage: 'script', detail: plan.what, generation: generation.id });
    return script;
  } catch (error) {
    if (!(error instanceof RackbootError)) throw error;
    service.log.error({ node: node.name }, `no boot script: ${messageOf(error)}`);
    return bootLocally(service, request, messageOf(error));
  }
}

async function bootLocally(service: BootService, request: BootRequest, reason: string): Promise<string> {
  const script = request.render({ kind: 'local', node: request.node.name, reason });
  await record(service, request, { stage: 'local', detail: `local disk: ${reason}`, generation: null });
  return script;
}

async function record(
  service: BootService,
  { node, client }: BootRequest,
  event: Pick<EventRecord, 'stage' | 'detail' | 'generation'>,
): Promise<void> {
  if (!isFromNode(node, client) && node.ip !== null) return;
  await service.store.events.append({
    ...event,
    at: service.now(),
    node: node.name,
    bytes: null,
    ms: null,
    client,
  });
}

/** Whether `client` is the address reserved for `node`; nobody else speaks for it. */
export function isFromNode(node: NodeRecord, client: string): boolean {
  return node.ip !== null && node.ip === client;
}

/** The generation the assignment means now; undefined when it is not to install. Throws when it is gone. */
export async function generationFor(
  service: BootService,
  assignment: AssignmentRecord | undefined,
): Promise<ServedGeneration | undefined> {
  if (assignment?.state !== 'osimage' || assignment.osimage === null) return undefined;
  const { osimage, generation } = assignment;
  const found =
    generation === null
      ? await service.generations.current(osimage)
      : await service.generations.find(osimage, generation);
  if (found === undefined) throw new GoneError(osimage, generation);
  return found;
}

class GoneError extends RackbootError<'NO_SUCH_GENERATION'> {
  constructor(osimage: string, generation: string | null) {
    const what =
      generation === null ? `osimage ${osimage}` : `generation ${shortId(generation)} of ${osimage}`;
    super('NO_SUCH_GENERATION', `${what} is gone; set the node again with: rackboot nodeset`);
  }
}

async function planInstall(
  service: BootService,
  request: BootRequest,
  assignment: AssignmentRecord,
  generation: ServedGeneration,
): Promise<SystemBoot> {
  const { node, client, render } = request;
  const { boot, answer } = generation.manifest;
  const entry = assignment.entry === null ? boot[0] : boot.find(({ label }) => label === assignment.entry);
  if (entry === undefined) {
    throw new BootError(
      'NO_ENTRY',
      `osimage ${generation.osimage} has no boot entry${assignment.entry === null ? '' : ` ${assignment.entry}`}; set the node again with: rackboot nodeset`,
    );
  }
  const expiresAt = service.now() + service.config.serve.holdGenerations * 1000;
  await service.store.leases.holdGeneration({
    kind: 'boot',
    holder: node.name,
    osimage: generation.osimage,
    generation: generation.id,
    expiresAt,
  });
  const variables = bootVariables(service, node, generation, entry.label, assignment);
  const facts: PlanFacts = {
    isFirstOfSeveral: await service.generations.losesArchives(generation.manifest, entry),
  };
  if (!isFromNode(node, client)) {
    return planEntry(entry, variables, {
      ...facts,
      note: `no answer file token: ${whyNotFrom(node, client)}`,
    });
  }
  const run = signRun(service.runKey, {
    node: node.name,
    since: assignment.since,
    generation: generation.id,
  });
  const report = `${variables.report}?run=${run}`;
  if (answer === undefined) return planEntry(entry, { ...variables, report }, facts);
  const planWith = (token: string): SystemBoot =>
    planEntry(
      entry,
      { ...variables, report, answerfile: `${variables.answerfile}?token=${token}.${run}` },
      facts,
    );
  // Rendered once with a token of nobody's: a boot that cannot be described must not use up the token before.
  render(planWith('0'.repeat(TOKEN_LENGTH)));
  const token = await service.store.tokens.issue({
    node: node.name,
    generation: generation.id,
    client,
    expiresAt: service.now() + service.config.install.tokenTtl * 1000,
  });
  return planWith(token);
}

/** As TokenState issues them, in characters. */
const TOKEN_LENGTH = 32;

/** The variables of `node` booting `entry` of `generation`, with URLs that carry no token. */
export function bootVariables(
  service: Pick<BootService, 'serverUrl' | 'config'>,
  node: NodeRecord,
  generation: Pick<ServedGeneration, 'osimage' | 'id' | 'manifest'>,
  entry: string,
  assignment?: AssignmentRecord,
): BootVariables {
  const url = service.serverUrl();
  const { settings } = generation.manifest.inputs;
  const image = `${url}/images/${generation.osimage}@${generation.id}`;
  return {
    node: nodeVariables(node),
    server: { url, address: new URL(url).hostname.replace(/^\[|\]$/g, '') },
    site: service.config.name,
    osimage: generation.osimage,
    generation: generation.id,
    entry,
    settings,
    xcat: xcatVariables({
      node,
      settings,
      serverUrl: url,
      config: service.config,
      assignment,
    }),
    files: `${image}/files`,
    tree: `${image}/tree`,
    answerfile: `${url}/nodes/${node.name}/answerfile`,
    report: `${url}/nodes/${node.name}/report`,
  };
}

/** The same variables with a report URL that speaks for `run`; for an ISO, whose maker decides who gets it. */
export function withRun(variables: BootVariables, key: Buffer, run: Run): BootVariables {
  return { ...variables, report: `${variables.report}?run=${signRun(key, run)}` };
}

/** Why `client` is not taken for `node`, with the mend. */
export function whyNotFrom(node: NodeRecord, client: string): string {
  return node.ip === null
    ? `no address is reserved for ${node.name}; reserve one with: rackboot node set ${node.name} --ip ADDRESS`
    : `asked for from ${client}, which is not the address of ${node.name} (${node.ip})`;
}

function reasonFor(assignment: AssignmentRecord | undefined): string {
  if (assignment === undefined) return 'it was never set to anything else';
  return assignment.state === 'offline' ? 'it is set offline' : 'it is set to boot';
}
