{{/* What the pods of the coordinator and of workers have in common. */}}

{{- define "biosweep.pod" -}}
serviceAccountName: {{ include "biosweep.fullname" . }}
automountServiceAccountToken: false
# Otherwise Kubernetes would set variables that begin with BIOSWEEP_.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "biosweep.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where the pod runs: of the coordinator, or of a pool. */}}
{{- define "biosweep.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/*
Copies the files of a Secret into memory, for their owner alone: (dict "root" $ "image" IMAGE "files" (list NAMES)). The programs
refuse secrets that others can read, and Kubernetes gives files of a Secret to root and to the group of the pod.
*/}}
{{- define "biosweep.secretsContainer" -}}
- name: secrets
  image: {{ .image }}
  {{- include "biosweep.container" .root | nindent 2 }}
  command: [sh, -c]
  args:
    - umask 077 && cd /run/secrets/biosweep && cp {{ join " " .files }} /run/biosweep/
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 32Mi}
  volumeMounts:
    - {name: given-secrets, mountPath: /run/secrets/biosweep, readOnly: true}
    - {name: secrets, mountPath: /run/biosweep}
{{- end -}}

{{/* The volumes for it: (dict "secret" NAME "files" (list NAMES)). */}}
{{- define "biosweep.secretsVolumes" -}}
- name: given-secrets
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      {{- range .files }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
- name: secrets
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- end -}}
