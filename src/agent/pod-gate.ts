/** A pod as the container runtime names it: the identity which kubelet passes to a CNI plugin in CNI_ARGS. */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  /** Null from runtimes that don't pass K8S_POD_UID (CRI-O before 1.20, hand calls). */
  readonly uid: string | null;
  /** The runtime's id of the sandbox (CNI_CONTAINERID); a pod can have several, one after the other. */
  readonly sandbox?: string | null;
}

/**
 * What decides when a pod may start on this node. The agent implements it; the CNI server asks it for each
 * sandbox that the container runtime sets up or tears down.
 */
export interface PodGate {
  /** Null when the agent can admit pods, else why not, in words for an operator. */
  unready(): string | null;
  /**
   * Resolves when the rules of this pod with these addresses (canonical text, one or two) are in force on this
   * node. Waits for the Pod object to arrive from the API server. Rejects when `signal` aborts or when the pod
   * can't be admitted. Asked again for the same pod and addresses it answers from the present state.
   */
  admit(pod: PodIdentity, ips: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * The sandbox is gone. Unknown pods and repeated calls are fine, also long after the pod got its next sandbox (kubelet
   * collects old ones late); `ips` is empty when the runtime no longer knows them.
   */
  release(pod: PodIdentity, ips: readonly string[]): Promise<void>;
}
