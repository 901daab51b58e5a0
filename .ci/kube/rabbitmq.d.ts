// What RabbitMQ's operators take, as far as deploy/ uses it: no registry has their types. Read from the resource
// definitions in config/crd/bases of github.com/rabbitmq/cluster-operator and messaging-topology-operator (deletionPolicy
// from the latter's pull request 961). A field that is not here is refused, although the operators may know it.

declare module "rabbitmq.com/v1beta1" {
  import type { IAffinity } from "kubernetes-models/v1/Affinity";
  import type { IPodSpec } from "kubernetes-models/v1/PodSpec";
  import type { IResourceRequirements } from "kubernetes-models/v1/ResourceRequirements";

  interface Resource<Kind, Spec> {
    apiVersion: "rabbitmq.com/v1beta1";
    kind: Kind;
    metadata: { name: string; namespace: string };
    spec: Spec;
  }

  interface OfCluster {
    vhost?: string;
    rabbitmqClusterReference: { name: string; namespace?: string };
  }

  export type IExchange = Resource<
    "Exchange",
    OfCluster & { name: string; type?: string; durable?: boolean; autoDelete?: boolean; arguments?: object }
  >;

  export type IQueue = Resource<
    "Queue",
    OfCluster & {
      name: string;
      type?: string;
      durable?: boolean;
      autoDelete?: boolean;
      arguments?: object;
      deletionPolicy?: "delete" | "retain";
    }
  >;

  export type IBinding = Resource<
    "Binding",
    OfCluster & {
      source?: string;
      destination?: string;
      destinationType?: "exchange" | "queue";
      routingKey?: string;
      arguments?: object;
    }
  >;

  export type IPolicy = Resource<
    "Policy",
    OfCluster & {
      name: string;
      pattern: string;
      applyTo?: "queues" | "classic_queues" | "quorum_queues" | "exchanges" | "all";
      priority?: number;
      definition: object;
    }
  >;

  export type IRabbitmqCluster = Resource<
    "RabbitmqCluster",
    {
      replicas?: number;
      image?: string;
      resources?: IResourceRequirements;
      affinity?: IAffinity;
      persistence?: { storageClassName?: string; storage?: string };
      rabbitmq?: { additionalPlugins?: string[]; additionalConfig?: string; advancedConfig?: string };
      override?: { statefulSet?: { spec?: { template?: { spec?: IPodSpec } } } };
    }
  >;
}
