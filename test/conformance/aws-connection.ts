// A connection of AWS's device SDK, and what the SDK makes upon it: its own clients, or services in either of its two styles.

import { once } from "node:events";
import {
  iot,
  iotidentity,
  iotjobs,
  iotshadow,
  mqtt,
  mqtt_request_response,
  mqtt5,
} from "aws-iot-device-sdk-v2";

/** `request/response`: the newer service clients; `topics`: one subscribes and publishes oneself. */
export type Style = "request/response" | "topics";

export interface Access {
  readonly version: 4 | 5;
  readonly style: Style;
  readonly port: number;
  readonly trustAnchor: string;
  readonly certificate: string;
  readonly key: string;
  readonly clientId: string;
}

/** What the cloud said no with: the body of its `rejected` message. */
export class Refused extends Error {
  readonly body: object;

  constructor(body: object) {
    super(JSON.stringify(body));
    this.body = body;
  }
}

type Identity = iotidentity.model.CreateCertificateFromCsrResponse & {
  readonly privateKey?: string;
};
type Registration = iotidentity.model.RegisterThingRequest;
type Shadow = iotshadow.model.GetShadowResponse;

/** Each operation throws `Refused` when the cloud rejects it. */
export interface Services {
  /** Without a request the cloud makes the key. */
  certify(certificateSigningRequest: string | undefined): Promise<Identity>;
  registerThing(registration: Registration): Promise<iotidentity.model.RegisterThingResponse>;
  getShadow(thingName: string): Promise<Shadow>;
  report(thingName: string, reported: object): Promise<iotshadow.model.UpdateShadowResponse>;
  /** Resolves once subscribed. */
  followDelta(thingName: string, onDelta: (state: object | undefined) => void): Promise<void>;
}

export interface Connection {
  readonly services: Services;
  close(): Promise<void>;
}

const endpoint = "localhost";

/** What the SDK makes upon one connection. */
export interface Dialed {
  identity(): iotidentity.IotIdentityClient;
  identityV2(): iotidentity.IotIdentityClientv2;
  shadow(): iotshadow.IotShadowClient;
  shadowV2(): iotshadow.IotShadowClientv2;
  jobsV2(): iotjobs.IotJobsClientv2;
  close(): Promise<void>;
}

export async function connect(access: Access): Promise<Connection> {
  const dialed = await dial(access);
  const services =
    access.style === "topics"
      ? byTopics(dialed.identity(), dialed.shadow())
      : byRequests(dialed.identityV2(), dialed.shadowV2());
  return { services, close: () => dialed.close() };
}

export function dial(access: Omit<Access, "style">): Promise<Dialed> {
  return access.version === 4 ? dial311(access) : dial5(access);
}

async function dial311(access: Omit<Access, "style">): Promise<Dialed> {
  const config = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder(
    access.certificate,
    access.key,
  )
    .with_certificate_authority(access.trustAnchor)
    .with_endpoint(endpoint)
    .with_port(access.port)
    .with_client_id(access.clientId)
    .with_clean_session(true)
    .build();
  const connection = new mqtt.MqttClient().new_connection(config);
  await connection.connect();
  return {
    identity: () => new iotidentity.IotIdentityClient(connection),
    identityV2: () => iotidentity.IotIdentityClientv2.newFromMqtt311(connection, requestLimits),
    shadow: () => new iotshadow.IotShadowClient(connection),
    shadowV2: () => iotshadow.IotShadowClientv2.newFromMqtt311(connection, requestLimits),
    jobsV2: () => iotjobs.IotJobsClientv2.newFromMqtt311(connection, requestLimits),
    close: async () => void (await connection.disconnect()),
  };
}

async function dial5(access: Omit<Access, "style">): Promise<Dialed> {
  const config = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromMemory(
    endpoint,
    access.certificate,
    access.key,
  )
    .withCertificateAuthority(access.trustAnchor)
    .withPort(access.port)
    .withConnectProperties({ clientId: access.clientId, keepAliveIntervalSeconds: 60 })
    .build();
  const client = new mqtt5.Mqtt5Client(config);
  const connected = new Promise<void>((resolve, reject) => {
    client.on("connectionSuccess", () => resolve());
    client.on("connectionFailure", ({ error }) => reject(error));
  });
  client.start();
  await connected;
  return {
    identity: () => iotidentity.IotIdentityClient.newFromMqtt5Client(client),
    identityV2: () => iotidentity.IotIdentityClientv2.newFromMqtt5(client, requestLimits),
    shadow: () => iotshadow.IotShadowClient.newFromMqtt5Client(client),
    shadowV2: () => iotshadow.IotShadowClientv2.newFromMqtt5(client, requestLimits),
    jobsV2: () => iotjobs.IotJobsClientv2.newFromMqtt5(client, requestLimits),
    close: async () => {
      const stopped = once(client, "stopped");
      client.stop();
      await stopped;
      client.close();
    },
  };
}

const requestLimits = {
  maxRequestResponseSubscriptions: 6,
  maxStreamingSubscriptions: 2,
  operationTimeoutInSeconds: 20,
};

/** Throws `Refused` where the cloud said no. */
export async function ask<A>(answer: Promise<A>): Promise<A> {
  try {
    return await answer;
  } catch (error) {
    const isModelled = error instanceof mqtt_request_response.ServiceError && error.modeledError;
    throw isModelled ? new Refused(error.modeledError) : error;
  }
}

/** Resolves once subscribed. */
export async function opened<E>(
  stream: mqtt_request_response.StreamingOperation<E>,
  onMessage: (message: E) => void,
): Promise<void> {
  stream.on("incomingPublish", ({ message }) => onMessage(message));
  const status = once(stream, "subscriptionStatus");
  stream.open();
  const [{ type, error }] = await status;
  // SubscriptionEstablished, of an enumeration the SDK does not export.
  if (type !== 0) throw new Error(`not subscribed: ${error}`);
}

function byRequests(
  identity: iotidentity.IotIdentityClientv2,
  shadow: iotshadow.IotShadowClientv2,
): Services {
  return {
    certify: certificateSigningRequest =>
      ask<Identity>(
        certificateSigningRequest === undefined
          ? identity.createKeysAndCertificate({})
          : identity.createCertificateFromCsr({ certificateSigningRequest }),
      ),
    registerThing: registration => ask(identity.registerThing(registration)),
    getShadow: thingName => ask(shadow.getShadow({ thingName })),
    report: (thingName, reported) => ask(shadow.updateShadow({ thingName, state: { reported } })),
    followDelta: (thingName, onDelta) =>
      opened(shadow.createShadowDeltaUpdatedStream({ thingName }), ({ state }) => onDelta(state)),
  };
}

/** How the older clients subscribe to one of their topics. */
type Subscribe<R, A> = (
  request: R,
  qos: mqtt.QoS,
  handler: (error?: Error, message?: A) => void,
) => Promise<mqtt.MqttSubscribeRequest>;

/** Subscribes to both answers, then asks; rejects when the cloud does not let it subscribe. */
async function exchange<R, A>(
  request: R,
  accepted: Subscribe<R, A>,
  rejected: Subscribe<R, object>,
  publish: () => Promise<unknown>,
): Promise<A> {
  let settle: (error?: Error, message?: A) => void = () => undefined;
  const answer = new Promise<A>((resolve, reject) => {
    settle = (error, message) =>
      message === undefined ? reject(error ?? new Error("no message")) : resolve(message);
  });
  await subscribed(accepted(request, mqtt.QoS.AtLeastOnce, settle));
  await subscribed(
    rejected(request, mqtt.QoS.AtLeastOnce, (error, body) =>
      settle(error ?? new Refused(body ?? {})),
    ),
  );
  // The answer may come before the publish is acknowledged.
  const [message] = await Promise.all([answer, publish()]);
  return message;
}

async function subscribed(asked: Promise<mqtt.MqttSubscribeRequest>): Promise<void> {
  const { error_code: error, qos, topic } = await asked;
  if (error || qos > mqtt.QoS.ExactlyOnce) throw new Error(`not subscribed to ${topic}`);
}

function byTopics(
  identity: iotidentity.IotIdentityClient,
  shadow: iotshadow.IotShadowClient,
): Services {
  const qos = mqtt.QoS.AtLeastOnce;
  return {
    certify: certificateSigningRequest =>
      certificateSigningRequest === undefined
        ? exchange<object, Identity>(
            {},
            (...to) => identity.subscribeToCreateKeysAndCertificateAccepted(...to),
            (...to) => identity.subscribeToCreateKeysAndCertificateRejected(...to),
            () => identity.publishCreateKeysAndCertificate({}, qos),
          )
        : exchange<object, Identity>(
            {},
            (...to) => identity.subscribeToCreateCertificateFromCsrAccepted(...to),
            (...to) => identity.subscribeToCreateCertificateFromCsrRejected(...to),
            () => identity.publishCreateCertificateFromCsr({ certificateSigningRequest }, qos),
          ),
    registerThing: registration =>
      exchange(
        registration,
        (...to) => identity.subscribeToRegisterThingAccepted(...to),
        (...to) => identity.subscribeToRegisterThingRejected(...to),
        () => identity.publishRegisterThing(registration, qos),
      ),
    getShadow: thingName =>
      exchange(
        { thingName },
        (...to) => shadow.subscribeToGetShadowAccepted(...to),
        (...to) => shadow.subscribeToGetShadowRejected(...to),
        () => shadow.publishGetShadow({ thingName }, qos),
      ),
    report: (thingName, reported) =>
      exchange(
        { thingName },
        (...to) => shadow.subscribeToUpdateShadowAccepted(...to),
        (...to) => shadow.subscribeToUpdateShadowRejected(...to),
        () => shadow.publishUpdateShadow({ thingName, state: { reported } }, qos),
      ),
    followDelta: (thingName, onDelta) =>
      subscribed(
        shadow.subscribeToShadowDeltaUpdatedEvents({ thingName }, qos, (_error, message) =>
          onDelta(message?.state),
        ),
      ),
  };
}
