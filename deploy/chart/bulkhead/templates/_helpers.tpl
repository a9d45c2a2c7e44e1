{{- define "bulkhead.selector" -}}
app.kubernetes.io/name: bulkhead
app.kubernetes.io/component: agent
{{- end }}

{{- define "bulkhead.labels" -}}
app.kubernetes.io/name: bulkhead
app.kubernetes.io/part-of: bulkhead
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/*
Of every container; `rights` are its capabilities. NET_ADMIN is all that nftables, NFLOG and conntrack ask for. Root,
because a container's capabilities are in force for no other user; without any it can do what files of root's let it.
*/}}
{{- define "bulkhead.container" -}}
{{- $image := .root.Values.image -}}
image: {{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
imagePullPolicy: {{ $image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsUser: 0
  runAsGroup: 0
  capabilities:
    drop: [ALL]
    {{- with .rights }}
    add: {{ toJson . }}
    {{- end }}
resources:
  {{- toYaml .root.Values.resources | nindent 2 }}
{{- end }}

{{- define "bulkhead.cniMounts" -}}
- name: cni-bin
  mountPath: /host{{ .Values.cni.binDir }}
- name: cni-conf
  mountPath: /host{{ .Values.cni.confDir }}
{{- end }}

{{/* What says which rules and marks are Bulkhead's: of the agent and of what removes them. */}}
{{- define "bulkhead.kernelArgs" -}}
{{- with .Values.markMask }}
- --mark-mask={{ . }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
