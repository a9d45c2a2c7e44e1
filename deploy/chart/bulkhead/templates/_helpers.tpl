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
Of every container. NET_ADMIN is all that nftables, NFLOG and conntrack ask for; root, because a capability of the
container is in force for no other user.
*/}}
{{- define "bulkhead.container" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsUser: 0
  runAsGroup: 0
  capabilities:
    drop: [ALL]
    add: [NET_ADMIN]
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}

{{- define "bulkhead.cniMounts" -}}
- name: cni-bin
  mountPath: /host{{ .Values.cni.binDir }}
- name: cni-conf
  mountPath: /host{{ .Values.cni.confDir }}
{{- end }}
