{{/* The pods of a pool: (dict "root" $ "name" NAME "pool" POOL). */}}

{{- define "biosweep.poolSelector" -}}
{{ include "biosweep.selector" .root }}
app.kubernetes.io/component: worker
biosweep/pool: {{ .name }}
{{- end -}}

{{- define "biosweep.poolLabels" -}}
{{ include "biosweep.labels" .root }}
app.kubernetes.io/component: worker
biosweep/pool: {{ .name }}
{{- with .pool.queue }}
kueue.x-k8s.io/queue-name: {{ . }}
{{- end }}
{{- end -}}

{{- define "biosweep.worker" -}}
{{- $root := .root -}}
{{- $pool := .pool -}}
{{- $is_job := has $pool.kind (list "Job" "ScaledJob") -}}
{{- $is_gpu := hasPrefix "cuda" $pool.device -}}
{{- $image := $pool.image | default (include "biosweep.image" (dict "root" $root "name" $root.Values.image.worker)) -}}
{{- $files := list "connection.json" -}}
{{- $checkpoints := $root.Values.checkpoints -}}
metadata:
  labels: {{- include "biosweep.poolLabels" . | nindent 4 }}
spec:
  {{- include "biosweep.pod" $root | nindent 2 }}
  {{- include "biosweep.placement" $pool | nindent 2 }}
  {{- with $pool.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  restartPolicy: {{ ternary "Never" "Always" $is_job }}
  terminationGracePeriodSeconds: {{ add $pool.graceSeconds 15 }}
  initContainers:
    {{- include "biosweep.secretsContainer" (dict "root" $root "image" $image "files" $files) | nindent 4 }}
  containers:
    # There is no check of its health: the coordinator gives the trials of a silent worker to others.
    - name: worker
      image: {{ $image }}
      {{- include "biosweep.container" $root | nindent 6 }}
      args:
        - --device={{ $pool.device }}
        - --lanes={{ $pool.lanes }}
        - --grace={{ $pool.graceSeconds }}
        - --name=$(POD_NAME)
        {{- range $pool.labels }}
        - --label={{ . }}
        {{- end }}
        {{- if $is_job }}
        - --idle-exit={{ $pool.idleExitSeconds }}
        {{- end }}
      env:
        - name: POD_NAME
          valueFrom:
            fieldRef: {fieldPath: metadata.name}
        - {name: BIOSWEEP_CONNECTION, value: /run/biosweep/connection.json}
        - {name: BIOSWEEP_HOME, value: /var/lib/biosweep}
        {{- if $root.Values.data.claim }}
        - {name: BIOSWEEP_DATA, value: /data}
        {{- end }}
        {{- if $checkpoints.place }}
        - {name: BIOSWEEP_CHECKPOINTS, value: {{ $checkpoints.place | quote }}}
        {{- else if $checkpoints.claim }}
        - {name: BIOSWEEP_CHECKPOINTS, value: /checkpoints}
        {{- end }}
      {{- with $checkpoints.secret }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      {{- $resources := deepCopy $pool.resources }}
      {{- if $is_gpu }}
      {{- $resources = mergeOverwrite $resources (dict "limits" (dict "nvidia.com/gpu" 1)) }}
      {{- end }}
      resources: {{- toYaml $resources | nindent 8 }}
      volumeMounts:
        - {name: home, mountPath: /var/lib/biosweep}
        - {name: secrets, mountPath: /run/biosweep, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if $root.Values.data.claim }}
        - {name: data, mountPath: /data, readOnly: true}
        {{- end }}
        {{- if $checkpoints.claim }}
        - {name: checkpoints, mountPath: /checkpoints}
        {{- end }}
  volumes:
    {{- include "biosweep.secretsVolumes" (dict "secret" $pool.connection "files" $files) | nindent 4 }}
    - name: home
      emptyDir: {sizeLimit: 10Gi}
    {{- with $root.Values.data.claim }}
    - name: data
      persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
    {{- end }}
    {{- with $checkpoints.claim }}
    - name: checkpoints
      persistentVolumeClaim: {claimName: {{ . }}}
    {{- end }}
{{- end -}}

{{/*
What ends of the worker of a Job mean: a pod that is preempted, evicted or asked to leave (exit code 75) is replaced and does not
count. Invalid input (2) and a broken environment (3) stay what they are: ONCE says what fails then.
*/}}
{{- define "biosweep.podFailurePolicy" -}}
rules:
  - action: Ignore
    onPodConditions:
      - {type: DisruptionTarget, status: "True"}
  - action: Ignore
    onExitCodes: {containerName: worker, operator: In, values: [75]}
  - action: {{ .once }}
    onExitCodes: {containerName: worker, operator: In, values: [2, 3]}
{{- end -}}

{{/* The trigger of KEDA for a pool. */}}
{{- define "biosweep.trigger" -}}
- type: external-push
  {{- if eq .pool.kind "ScaledObject" }}
  metricType: AverageValue
  {{- end }}
  metadata:
    scalerAddress: {{ printf "%s.%s.svc:7465" (include "biosweep.fullname" .root) .root.Release.Namespace }}
    device: {{ splitList ":" .pool.device | first }}
    labels: {{ join "," .pool.labels | quote }}
    lanes: {{ .pool.lanes | quote }}
    {{- with .pool.sweep }}
    sweep: {{ . | quote }}
    {{- end }}
  authenticationRef:
    name: {{ include "biosweep.fullname" .root }}
{{- end -}}
