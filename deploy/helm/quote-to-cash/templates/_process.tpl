{{/* What all processes of the product have in common. Each is one image with another command. */}}

{{- define "q2c.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}

{{/* What Temporal calls the build of an image. */}}
{{- define "q2c.build" -}}
{{ .digest | default .tag | replace ":" "-" }}
{{- end }}

{{/* Labels by which a process is found. Takes {root, process, build}; build only where it has several side by side. */}}
{{- define "q2c.selector" -}}
app.kubernetes.io/name: quote-to-cash
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .process }}
{{- with .build }}
quote-to-cash/build: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "q2c.labels" -}}
{{ include "q2c.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "q2c.name" -}}
{{ .root.Release.Name }}-{{ .process }}{{ with .build }}-{{ . }}{{ end }}
{{- end }}

{{- define "q2c.accountName" -}}
{{ .root.Release.Name }}-{{ .process }}
{{- end }}

{{/* A pod that the policy `restricted` of Pod Security takes. */}}
{{- define "q2c.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "q2c.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Variables of every process. Takes {root, process, of}; `of` are the values of the process. */}}
{{- define "q2c.environment" -}}
{{- $root := .root }}
{{- $own := dict "Q2C_MODE" "production" "Q2C_STATE_DIR" "/tmp/q2c" "Q2C_CA_FILE" "" }}
{{- $_ := set $own "Q2C_CODEC_KEYS_FILE" "/run/q2c/codec/codec-keys.json" }}
{{- $_ := set $own "Q2C_DECISION_PUBLIC_KEYS_FILE" "/run/q2c/public/decision-jwks.json" }}
{{- $_ := set $own "Q2C_AUDIT_PUBLIC_KEYS_FILE" "/run/q2c/public/audit-jwks.json" }}
{{- $_ := set $own "Q2C_DECISION_PRIVATE_KEY_FILE" "/run/q2c/keys/decision-key.json" }}
{{- $_ := set $own "Q2C_AUDIT_WEB_KEY_FILE" "/run/q2c/keys/audit-web-key.json" }}
{{- $_ := set $own "Q2C_AUDIT_PRIVATE_KEY_FILE" "/run/q2c/keys/audit-key.json" }}
{{- $_ := set $own "TEMPORAL_ADDRESS" $root.Values.temporal.address }}
{{- $_ := set $own "TEMPORAL_NAMESPACE" $root.Values.temporal.namespace }}
{{- $_ := set $own "Q2C_WORKER_PROCESSES" (mul $root.Values.worker.replicas.most (add 1 (len $root.Values.worker.former)) | toString) }}
{{- if $root.Values.policiesConfigMap }}{{ $_ := set $own "Q2C_POLICIES" "/run/q2c/policies" }}{{ end }}
{{- if $root.Values.telemetry.endpoint }}{{ $_ := set $own "OTEL_EXPORTER_OTLP_ENDPOINT" $root.Values.telemetry.endpoint }}{{ end }}
{{- if .of.azureClientId }}
{{- $_ := set $own "Q2C_AZURE_IDENTITY" "workload" }}
{{- $_ := set $own "Q2C_AZURE_CLIENT_ID" .of.azureClientId }}
{{- end }}
{{- range $key := (.of.secret | default dict).keys }}
{{- $_ := set $own (printf "Q2C_%s_FILE" ($key | upper | replace "-" "_")) (printf "/run/q2c/secrets/%s" $key) }}
{{- end }}
{{- $_ := mergeOverwrite $own (.own | default dict) }}
{{- range $name, $value := merge $own $root.Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- with $root.Values.temporal.apiKeySecret }}
- name: TEMPORAL_API_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: temporal-api-key}}
{{- end }}
{{- end }}

{{/* Whether a process opens runs: virtual tables and assistants do not, and are not given the keys. */}}
{{- define "q2c.opensRuns" -}}
{{- if not (has .process (list "virtual" "mcp")) }}yes{{ end }}
{{- end }}

{{/* Files of a process: a secret of its own, the codec's keys, public keys, policies; nothing of another process. */}}
{{- define "q2c.mounts" -}}
- {name: scratch, mountPath: /tmp}
{{- if include "q2c.opensRuns" . }}
- {name: codec-keys, mountPath: /run/q2c/codec, readOnly: true}
{{- end }}
- {name: public-keys, mountPath: /run/q2c/public, readOnly: true}
{{- if .root.Values.policiesConfigMap }}
- {name: policies, mountPath: /run/q2c/policies, readOnly: true}
{{- end }}
{{- if (.of.secret | default dict).keys }}
- {name: secrets, mountPath: /run/q2c/secrets, readOnly: true}
{{- end }}
{{- if .of.keyFiles }}
- {name: keys, mountPath: /run/q2c/keys, readOnly: true}
{{- end }}
{{- with .data }}
- {name: data, mountPath: {{ . }}}
{{- end }}
{{- end }}

{{- define "q2c.volumes" -}}
- name: scratch
  emptyDir: {sizeLimit: 64Mi}
{{- if include "q2c.opensRuns" . }}
- name: codec-keys
  secret: {secretName: {{ .root.Values.codecKeysSecret }}, items: [{key: codec-keys.json, path: codec-keys.json}]}
{{- end }}
- name: public-keys
  configMap: {name: {{ .root.Values.publicKeysConfigMap }}}
{{- with .root.Values.policiesConfigMap }}
- name: policies
  configMap: {name: {{ . }}}
{{- end }}
{{- if (.of.secret | default dict).keys }}
- name: secrets
  secret:
    secretName: {{ .of.secret.name }}
    items:
    {{- range .of.secret.keys }}
    - {key: {{ . }}, path: {{ . }}}
    {{- end }}
{{- end }}
{{- if .of.keyFiles }}
- name: keys
  secret:
    secretName: {{ .of.secret.name }}
    items:
    {{- range .of.keyFiles }}
    - {key: {{ . }}, path: {{ . }}}
    {{- end }}
{{- end }}
{{- if .data }}
- name: data
  persistentVolumeClaim: {claimName: {{ include "q2c.name" . }}}
{{- end }}
{{- end }}

{{- define "q2c.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "q2c.accountName" . }}
  labels: {{- include "q2c.labels" . | nindent 4 }}
  {{- with .of.azureClientId }}
  annotations: {azure.workload.identity/client-id: {{ . }}}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{/*
A process: its account, its deployment, and how many of it may be away at once.
Takes {root, process, of, replicas, port, grace, own, command, data, image, build}: port is that of its live and ready
endpoints; grace is how long it may take to stop, in seconds; own are variables that only it has; command is its command,
where that is not its name; data is the folder in which it keeps pages on a volume of its own, if it does; image and build
are those of one build among several, which share an account.
*/}}
{{- define "q2c.process" -}}
{{- if not .build }}
{{ include "q2c.account" . }}
---
{{- end }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "q2c.name" . }}
  labels: {{- include "q2c.labels" . | nindent 4 }}
spec:
  {{- if .replicas }}
  replicas: {{ .replicas }}
  {{- end }}
  strategy: {{ if .data }}{type: Recreate}{{ else }}{rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}{{ end }}
  selector:
    matchLabels: {{- include "q2c.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "q2c.labels" . | nindent 8 }}
        {{- if .of.azureClientId }}
        azure.workload.identity/use: "true"
        {{- end }}
    spec:
      serviceAccountName: {{ include "q2c.accountName" . }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .grace }}
      securityContext: {{- include "q2c.podSecurity" . | nindent 8 }}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - {name: {{ . }}}
        {{- end }}
      {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "q2c.selector" . | nindent 14 }}
      containers:
        - name: {{ .process }}
          image: {{ include "q2c.image" (.image | default .root.Values.image) }}
          args: [{{ .command | default .process }}]
          env: {{- include "q2c.environment" . | nindent 12 }}
          ports:
            - {name: http, containerPort: {{ .port }}}
          startupProbe:
            httpGet: {path: /health/live, port: http}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /health/live, port: http}
            periodSeconds: 10
            timeoutSeconds: 4
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /health/ready, port: http}
            periodSeconds: 10
            timeoutSeconds: 4
          resources: {{- toYaml .of.resources | nindent 12 }}
          securityContext: {{- include "q2c.containerSecurity" . | nindent 12 }}
          volumeMounts: {{- include "q2c.mounts" . | nindent 12 }}
      volumes: {{- include "q2c.volumes" . | nindent 8 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "q2c.name" . }}
  labels: {{- include "q2c.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "q2c.selector" . | nindent 6 }}
{{- end }}

{{/* The way from outside to a process. Takes {root, process, ingress, port}. */}}
{{- define "q2c.site" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "q2c.name" . }}
  labels: {{- include "q2c.labels" . | nindent 4 }}
spec:
  selector: {{- include "q2c.selector" . | nindent 4 }}
  ports:
    - {name: http, port: {{ .port }}, targetPort: http}
{{- if .ingress.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ include "q2c.name" . }}
  labels: {{- include "q2c.labels" . | nindent 4 }}
  {{- with .ingress.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  ingressClassName: {{ .ingress.className }}
  tls:
    - hosts: [{{ required (printf "%s.ingress.host is missing: the name people's browsers use" .process) .ingress.host }}]
      secretName: {{ .ingress.tlsSecret }}
  rules:
    - host: {{ .ingress.host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: {{ include "q2c.name" . }}, port: {name: http}}}
{{- end }}
{{- end }}
