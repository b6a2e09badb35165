import { setTimeout as sleep } from 'node:timers/promises';
import { PowerError } from '../errors.js';
import { type Action, findAction } from './action.js';
import { at, linkAt, membersOf, messageIds, textAt, textsAt } from './body.js';
import type { RedfishClient, Resource } from './client.js';
import type { RedfishControl } from './power.js';
import type { Answer } from './exchange.js';

const POLL = 1000; // milliseconds

/** A machine's virtual CD drive. */
export class VirtualDrive {
  constructor(
    private readonly client: RedfishClient,
    private readonly path: string,
    private readonly signal: AbortSignal,
  ) {}

  /** The URL of what is in it; null when it is empty. */
  async image(): Promise<string | null> {
    return imageIn(await this.client.get(this.path));
  }

  /**
   * Puts `url` in, in place of what is there, and resolves once the BMC shows it. The same URL is put in anew: what it
   * stands for may have changed since, and BMCs keep the size that it had.
   */
  async insert(url: string): Promise<void> {
    const drive = await this.client.get(this.path);
    if (imageIn(drive) !== null) await this.#eject(drive);
    const action = await findAction(this.client, drive.body, '#VirtualMedia.InsertMedia');
    await this.#offer(action, url);
    await this.#until(
      (image) => image !== null,
      `took ${url} and does not show it; see whether the BMC reaches that URL`,
    );
  }

  /** Takes out what is in it, if anything is. */
  async eject(): Promise<void> {
    const drive = await this.client.get(this.path);
    if (imageIn(drive) !== null || at(drive.body, 'Inserted') === true) await this.#eject(drive);
  }

  /** Asks in the ways that BMCs want to be asked, one after another, for as long as they say that it is the asking. */
  async #offer(action: Action | undefined, url: string): Promise<void> {
    let answer: Answer | undefined;
    for (const body of insertions(action, url)) {
      answer =
        action === undefined
          ? await this.client.patch(this.path, body)
          : await this.client.post(action.target, body);
      if (answer.status !== 400 || !isAboutWords(answer.body)) break;
    }
    if (answer !== undefined) this.client.require(answer, 'the medium');
  }

  async #eject({ body }: Resource): Promise<void> {
    const action = await findAction(this.client, body, '#VirtualMedia.EjectMedia');
    const answer =
      action === undefined
        ? await this.client.patch(this.path, { Image: null, Inserted: false })
        : await this.client.post(action.target, {});
    this.client.require(answer, 'to eject');
    await this.#until((image) => image === null, 'does not let go of its medium; eject it on the BMC itself');
  }

  async #until(isDone: (image: string | null) => boolean, complaint: string): Promise<void> {
    try {
      while (!isDone(await this.image())) await sleep(POLL, undefined, { signal: this.signal });
    } catch (error) {
      if (!this.signal.aborted) throw error;
      throw new PowerError('NOT_INSERTED', `${this.client.where} ${complaint}`);
    }
  }
}

/** The virtual CD drive of a machine: of its system (since ComputerSystem 1.13), else of a manager of it. */
export async function findDrive(control: RedfishControl, signal: AbortSignal): Promise<VirtualDrive> {
  const { client } = control;
  const { body: system } = await control.system();
  const managers = membersOf({ Members: at(system, 'Links', 'ManagedBy') });
  const collections = [linkAt(system, 'VirtualMedia')];
  for (const path of managers) collections.push(linkAt((await client.get(path)).body, 'VirtualMedia'));
  for (const collection of collections) {
    if (collection === undefined) continue;
    for (const path of membersOf((await client.get(collection)).body)) {
      const { body } = await client.get(path);
      if (textsAt(body, 'MediaTypes')?.some((type) => type === 'CD' || type === 'DVD') ?? true)
        return new VirtualDrive(client, path, signal);
    }
  }
  throw new PowerError(
    'UNSUPPORTED',
    `${client.where} has no virtual CD drive; its licence may not hold one, or boot over the network`,
  );
}

function imageIn({ body }: Resource): string | null {
  const image = textAt(body, 'Image');
  return at(body, 'Inserted') === false || image === undefined ? null : image;
}

/**
 * The bodies that insert `url`, the one that most BMCs take first: some want to be told the protocol, some refuse what
 * they do not know. Where the parameters are described, only those.
 */
function insertions(action: Action | undefined, url: string): readonly Record<string, unknown>[] {
  const transfer = {
    TransferProtocolType: url.startsWith('https:') ? 'HTTPS' : 'HTTP',
    TransferMethod: 'Stream',
  };
  const usual = { Image: url, Inserted: true, WriteProtected: true };
  const described = action?.parameters ?? [];
  if (described.some(({ name }) => name === 'Image')) {
    const known = new Map(described.map((each) => [each.name, each]));
    const fits = ([name, value]: [string, unknown]): boolean => {
      const parameter = known.get(name);
      if (parameter === undefined) return false;
      return typeof value !== 'string' || name === 'Image' || (parameter.allowed?.includes(value) ?? true);
    };
    return [Object.fromEntries(Object.entries({ ...usual, ...transfer }).filter(fits))];
  }
  const { TransferProtocolType } = transfer;
  return [
    usual,
    { ...usual, TransferProtocolType },
    { ...usual, ...transfer },
    { Image: url, TransferProtocolType },
    { Image: url },
  ];
}

/** Whether a refusal is about the properties that were sent, and not about the medium. */
function isAboutWords(body: unknown): boolean {
  const ids = messageIds(body);
  return (
    ids.length === 0 ||
    ids.some((id) =>
      /^(?:Action)?(?:Property|Parameter)\w*(?:Missing|Unknown|NotWritable|NotSupported|NotInList|ReadOnly)/.test(
        id,
      ),
    )
  );
}
