/** What a machine with a Redfish BMC is and has. */
export interface MachineOptions {
  readonly power?: 'On' | 'Off';
  readonly systems?: readonly { readonly id: string; readonly uuid?: string; readonly serial?: string }[];
  /** What it can be told; `described` puts them into an ActionInfo. */
  readonly resetTypes?: readonly string[];
  readonly resetInfo?: 'annotated' | 'described' | 'untold';
  readonly bootTargets?: readonly string[];
  /** How a medium is inserted: which properties the action takes, or by a change of the drive. */
  readonly media?: 'usual' | 'wants-protocol' | 'image-only' | 'described' | 'patch' | 'none' | 'unreachable';
  readonly mediaAt?: 'system' | 'manager';
}

interface Done {
  readonly status: number;
  readonly body?: object;
}

/** The resources behind an emulated BMC. The paths are none that a client could guess. */
export class RedfishMachine {
  power: 'On' | 'Off';
  image: string | null = null;
  readonly inserted: string[] = []; // every medium that was put in
  /** What the machine was told to boot from whenever it started. */
  readonly boots: string[] = [];
  override: Record<string, unknown> = {
    BootSourceOverrideEnabled: 'Disabled',
    BootSourceOverrideTarget: 'None',
    BootSourceOverrideMode: 'Legacy',
  };
  #version = 1;

  constructor(private readonly options: MachineOptions) {
    this.power = options.power ?? 'Off';
  }

  /** Changes every ETag, as somebody else's change would. */
  touch(): void {
    this.#version++;
  }

  resource(path: string): { readonly body: object; readonly etag: string } | undefined {
    const found = this.#resources().get(path);
    return found === undefined
      ? undefined
      : { body: { '@odata.id': path, ...found }, etag: `W/"${this.#version}"` };
  }

  patch(path: string, body: Record<string, unknown>): Done | undefined {
    if (path === this.#systemPath(this.#ids[0] ?? '') && typeof body['Boot'] === 'object') {
      this.override = { ...this.override, ...(body['Boot'] as object) };
      this.touch();
      return { status: 200, body: this.resource(path)?.body ?? {} };
    }
    if (path === DRIVE && this.options.media === 'patch') {
      this.#hold(body['Image'] as string | null);
      this.touch();
      return { status: 204 };
    }
    return undefined;
  }

  act(path: string, body: Record<string, unknown>): Done | undefined {
    if (path === RESET) return this.#reset(String(body['ResetType']));
    if (path === `${DRIVE}/do-insert` && this.options.media !== 'patch') return this.#insert(body);
    if (path === `${DRIVE}/do-eject` && this.options.media !== 'patch') {
      this.image = null;
      this.touch();
      return { status: 204 };
    }
    return undefined;
  }

  get #ids(): readonly string[] {
    return (this.options.systems ?? [{ id: 'node-a1' }]).map(({ id }) => id);
  }

  get #resetTypes(): readonly string[] {
    return (
      this.options.resetTypes ?? ['On', 'ForceOff', 'GracefulShutdown', 'ForceRestart', 'PowerCycle', 'Nmi']
    );
  }

  #systemPath(id: string): string {
    return `/redfish/v1/Systems/${id}`;
  }

  #reset(type: string): Done {
    if (!this.#resetTypes.includes(type))
      return problem(400, 'ActionParameterNotSupported', `ResetType ${type} is not supported.`);
    if (type === 'On' && this.power === 'On') return problem(409, 'NoOperation', 'It is on.');
    this.power = type === 'ForceOff' || type === 'GracefulShutdown' ? 'Off' : 'On';
    if (this.power === 'On' && type !== 'Nmi') {
      const isSet = this.override['BootSourceOverrideEnabled'] === 'Once';
      const mode = String(this.override['BootSourceOverrideMode']);
      this.boots.push(isSet ? `${String(this.override['BootSourceOverrideTarget'])} ${mode}` : 'usual');
      this.override = {
        ...this.override,
        BootSourceOverrideEnabled: 'Disabled',
        BootSourceOverrideTarget: 'None',
      };
    }
    this.touch();
    return { status: 204 };
  }

  #hold(image: string | null): void {
    this.image = image;
    if (image !== null) this.inserted.push(image);
  }

  #insert(body: Record<string, unknown>): Done {
    const { media = 'usual' } = this.options;
    const keys = Object.keys(body);
    if (media === 'wants-protocol' && body['TransferProtocolType'] !== 'HTTP')
      return problem(400, 'ActionParameterMissing', 'TransferProtocolType is required.');
    if (media === 'image-only' && keys.length > 1)
      return problem(400, 'ActionParameterUnknown', `${keys[1] ?? ''} is not known.`);
    if (media === 'described' && keys.sort().join() !== 'Image,TransferProtocolType')
      return problem(400, 'PropertyUnknown', keys.join());
    if (this.image !== null) return problem(400, 'ResourceInUse', 'A medium is in it.');
    if (media !== 'unreachable') this.#hold(String(body['Image']));
    this.touch();
    return { status: 204 };
  }

  #resources(): Map<string, object> {
    const { mediaAt = 'manager', media = 'usual', resetInfo = 'annotated' } = this.options;
    const collection = (...paths: readonly string[]): object => ({
      Members: paths.map((path) => ({ '@odata.id': path })),
      'Members@odata.count': paths.length,
    });
    const drives = media === 'none' ? {} : { VirtualMedia: { '@odata.id': DRIVES } };
    const system = ({ id, uuid, serial }: { id: string; uuid?: string; serial?: string }): object => ({
      Id: id,
      ...(uuid === undefined ? {} : { UUID: uuid.toUpperCase() }),
      ...(serial === undefined ? {} : { SerialNumber: serial }),
      PowerState: this.power,
      Boot: {
        ...this.override,
        'BootSourceOverrideTarget@Redfish.AllowableValues': this.options.bootTargets ?? [
          'None',
          'Pxe',
          'Cd',
          'Hdd',
        ],
      },
      Links: { ManagedBy: [{ '@odata.id': MANAGER }] },
      Actions: {
        '#ComputerSystem.Reset': {
          target: RESET,
          ...(resetInfo === 'annotated' ? { 'ResetType@Redfish.AllowableValues': this.#resetTypes } : {}),
          ...(resetInfo === 'described' ? { '@Redfish.ActionInfo': RESET_INFO } : {}),
        },
      },
      ...(mediaAt === 'system' ? drives : {}),
    });
    const actions = {
      Actions: {
        '#VirtualMedia.InsertMedia': {
          target: `${DRIVE}/do-insert`,
          ...(media === 'described' ? { '@Redfish.ActionInfo': INSERT_INFO } : {}),
        },
        '#VirtualMedia.EjectMedia': { target: `${DRIVE}/do-eject` },
      },
    };
    const systems = this.options.systems ?? [{ id: 'node-a1' }];
    return new Map<string, object>([
      ['/redfish/v1/Systems', collection(...systems.map(({ id }) => this.#systemPath(id)))],
      ...systems.map((each): [string, object] => [this.#systemPath(each.id), system(each)]),
      [
        RESET_INFO,
        { Parameters: [{ Name: 'ResetType', Required: true, AllowableValues: this.#resetTypes }] },
      ],
      [MANAGER, { Id: 'm7', ...(mediaAt === 'manager' ? drives : {}) }],
      [DRIVES, collection('/redfish/v1/Vm/floppy', DRIVE)],
      ['/redfish/v1/Vm/floppy', { MediaTypes: ['Floppy', 'USBStick'], Image: null, Inserted: false }],
      [
        DRIVE,
        {
          MediaTypes: ['CD', 'DVD'],
          Image: this.image,
          Inserted: this.image !== null,
          ...(media === 'patch' ? {} : actions),
        },
      ],
      [
        INSERT_INFO,
        {
          Parameters: [
            { Name: 'Image', Required: true },
            { Name: 'TransferProtocolType', Required: true, AllowableValues: ['HTTP', 'HTTPS'] },
          ],
        },
      ],
    ]);
  }
}

const RESET = '/redfish/v1/Doers/power-button';
const RESET_INFO = '/redfish/v1/Doers/power-button-info';
const MANAGER = '/redfish/v1/Managers/m7';
const DRIVES = '/redfish/v1/Vm';
const DRIVE = '/redfish/v1/Vm/optical-2';
const INSERT_INFO = '/redfish/v1/Vm/insert-info';

/** A Redfish error with its extended information. */
export function problem(status: number, id: string, message: string): Done {
  const info = { '@Message.ExtendedInfo': [{ MessageId: `Base.1.8.${id}`, Message: message }] };
  return {
    status,
    body: { error: { code: `Base.1.8.GeneralError`, message: 'See extended info.', ...info } },
  };
}
