/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words for people who come from systemd, Kubernetes, supervisord or Erlang/OTP: what a key that is written
 * there is called here. The nearest word by letters misleads them (RestartSec= is no Restart=). Called by
 * config.c. Nothing is accepted by these names: one thing has one name. */

#include "arbiterd/config-internal.h"

const struct conf_foreign config_foreign[] = {
        { "AutoRestart", "Restart= in section [Actor]" },
        { "Command", "Exec= in section [Actor]" },
        { "ExecReload", "'arbiterctl reload NAME', which replaces workers by their like" },
        { "ExecStart", "Exec= in section [Actor]" },
        { "HttpGet", "ProbeHttp=" },
        { "InitialDelaySeconds", "InitialDelaySec=" },
        { "Intensity", "RestartIntensity= in section [Monitor]" },
        { "MaxR", "RestartIntensity= in section [Monitor]" },
        { "MaxReplicas", "WorkersMax= in section [Monitor]" },
        { "MaxT", "RestartPeriodSec= in section [Monitor]" },
        { "MinReadySeconds", "MinReadySec= in section [Monitor]" },
        { "MinReplicas", "WorkersMin= in section [Monitor]" },
        { "NumProcs", "Workers= in section [Monitor]" },
        { "PeriodSeconds", "IntervalSec=" },
        { "ProgressDeadlineSeconds", "ProgressDeadlineSec= in section [Monitor]" },
        { "Replicas", "Workers= in section [Monitor]" },
        { "RestartSec", "BackoffMinSec= in section [Monitor]" },
        { "StartLimitBurst", "RestartIntensity= in section [Monitor]" },
        { "StartLimitIntervalSec", "RestartPeriodSec= in section [Monitor]" },
        { "StartRetries", "RestartIntensity= in section [Monitor]" },
        { "StartSecs", "MinReadySec= in section [Monitor]" },
        { "StopWaitSecs", "TimeoutStopSec= in section [Actor]" },
        { "TcpSocket", "ProbeTcp=" },
        { "TerminationGracePeriodSeconds", "TimeoutStopSec= in section [Actor]" },
        { "TimeoutSeconds", "TimeoutSec=" },
        {},
};
