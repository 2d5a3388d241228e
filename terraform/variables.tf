# ---- what it is called and where it is -------------------------------------------------------------------------------

variable "name" {
  description = "Prefix of all names; two installations in one account need two."
  type        = string
  default     = "soulcaster"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 20 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "region" {
  description = "AWS region."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like eu-central-1."
  }
}

variable "zones" {
  description = "Availability zones of that region: three for MSK Express, else two or three."
  type        = list(string)

  validation {
    condition     = alltrue([for zone in var.zones : startswith(zone, var.region)])
    error_message = "zones must be zones of the region."
  }
}

variable "cidr" {
  description = "Addresses of the network, /16 to /20."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr))
    error_message = "cidr must be an IPv4 range, such as 10.40.0.0/16."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway in each zone instead of one for all; costs more, and survives the loss of a zone."
  type        = bool
  default     = false
}

variable "interface_endpoints" {
  description = "AWS services that are reached inside of the network instead of through NAT; each costs by the hour and zone."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr", "logs", "secretsmanager"]

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z0-9.-]+$", service))])
    error_message = "interface_endpoints must be names such as ecr.api."
  }
}

# ---- who reaches it --------------------------------------------------------------------------------------------------

variable "domain" {
  description = "Host name at which browsers, webhooks, pollers and jobs reach the web server."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.domain))
    error_message = "domain must be a host name, such as soulcaster.example.com."
  }
}

variable "certificate_arn" {
  description = "ARN of the domain's certificate in ACM, in the same region."
  type        = string

  validation {
    condition     = can(regex("^arn:[^:]+:acm:[^:]+:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of a certificate in ACM."
  }
}

variable "zone_id" {
  description = "Route 53's zone of the domain, in which its record is made; null where you make it yourself."
  type        = string
  default     = null

  validation {
    condition     = var.zone_id == null || can(regex("^Z[A-Z0-9]+$", var.zone_id))
    error_message = "zone_id must be the id of a zone in Route 53."
  }
}

variable "allowed_cidrs" {
  description = "Addresses that may connect by https. Webhooks of GitHub and Sentry come from the internet."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr))])
    error_message = "allowed_cidrs must be IPv4 ranges."
  }
}

variable "web_acl_arn" {
  description = "ARN of a web ACL of AWS WAF in front of the load balancer, null for none."
  type        = string
  default     = null

  validation {
    condition     = var.web_acl_arn == null || can(regex("^arn:[^:]+:wafv2:", var.web_acl_arn))
    error_message = "web_acl_arn must be the ARN of a web ACL."
  }
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the load balancer."
  type        = bool
  default     = true
}

# ---- images ----------------------------------------------------------------------------------------------------------

variable "image" {
  description = "Image of worker, web server, launcher and pollers, with its digest."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must end with its digest: a tag can come to mean another image."
  }
}

variable "collector_image" {
  description = "Image of the AWS Distro for OpenTelemetry collector, which publishes the workers' metrics."
  type        = string
  default     = "public.ecr.aws/aws-observability/aws-otel-collector:v0.48.0"

  validation {
    condition     = can(regex("(@sha256:[0-9a-f]{64}|:v[0-9]+\\.[0-9]+\\.[0-9]+)$", var.collector_image))
    error_message = "collector_image must end with a version or a digest."
  }
}

variable "architecture" {
  description = "Processor that the images are built for: X86_64 or ARM64."
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture must be X86_64 or ARM64."
  }
}

variable "publishing" {
  description = "Repository on GitHub whose workflow pushes the images to ECR, its environment there, and the account's identity provider of GitHub where it has one; null makes no role."
  type = object({
    github_repository  = string
    github_environment = optional(string, "release")
    oidc_provider_arn  = optional(string)
  })
  default = null

  validation {
    condition     = var.publishing == null || can(regex("^[^/]+/[^/]+$", var.publishing.github_repository))
    error_message = "publishing.github_repository must look like owner/name."
  }
}

# ---- what runs -------------------------------------------------------------------------------------------------------

variable "running" {
  description = "Whether processes run. False for the first apply, until topics and secrets are there, and while you restore."
  type        = bool
  default     = true
}

variable "partitions" {
  description = "Partitions of every topic, and so the most workers. It cannot change once the topics exist."
  type        = number
  default     = 12

  validation {
    condition     = var.partitions >= 1 && var.partitions <= 1024 && floor(var.partitions) == var.partitions
    error_message = "partitions must be a whole number from 1 to 1,024."
  }
}

variable "workers" {
  description = "Fewest and most workers, the size of each, and the backlogs in seconds at which there are more or fewer."
  type = object({
    fewest              = optional(number, 2)
    most                = optional(number, 6)
    cpu                 = optional(number, 1024)
    memory              = optional(number, 4096)
    more_above_seconds  = optional(number, 60)
    fewer_below_seconds = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.workers.fewest >= 1 && var.workers.most >= var.workers.fewest && var.workers.most <= var.partitions
    error_message = "workers.fewest must be 1 or more, and workers.most between workers.fewest and partitions: further workers would be idle."
  }
}

variable "web" {
  description = "How many web servers, and the size of each."
  type = object({
    tasks  = optional(number, 2)
    cpu    = optional(number, 512)
    memory = optional(number, 1024)
  })
  default = {}

  validation {
    condition     = var.web.tasks >= 1
    error_message = "web.tasks must be 1 or more."
  }
}

variable "launcher" {
  description = "How many launchers, and the size of each."
  type = object({
    tasks  = optional(number, 1)
    cpu    = optional(number, 512)
    memory = optional(number, 1024)
  })
  default = {}

  validation {
    condition     = var.launcher.tasks >= 1
    error_message = "launcher.tasks must be 1 or more."
  }
}

variable "pollers" {
  description = "Pollers that run, one task each: reddit, github."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.pollers, ["reddit", "github"])) == 0
    error_message = "pollers can be reddit and github."
  }
}

variable "fixes" {
  description = "Where jobs run: the fixer's image with its digest, the size and number of machines, and what a job gets of one; null for dry runs only."
  type = object({
    image          = string
    instance_type  = optional(string, "m7i.large")
    most_instances = optional(number, 4)
    disk_gb        = optional(number, 100)
    cpu            = optional(number, 2048)
    memory         = optional(number, 6912)
  })
  default = null

  validation {
    condition     = var.fixes == null || can(regex("@sha256:[0-9a-f]{64}$", var.fixes.image))
    error_message = "fixes.image must end with its digest."
  }
}

variable "backup" {
  description = "When Kafka is copied to a bucket, in UTC, and how many days each copy is kept; null for no backups."
  type = object({
    schedule  = optional(string, "cron(0 3 * * ? *)")
    kept_days = optional(number, 35)
  })
  default = {}

  validation {
    condition     = var.backup == null || can(regex("^(cron|rate)\\(.+\\)$", var.backup.schedule))
    error_message = "backup.schedule must be cron(...) or rate(...)."
  }
}

variable "settings" {
  description = "Further settings of docs/settings.md that are no secrets, for all processes; each reads its own."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Z][A-Z0-9_]*$", name))])
    error_message = "settings must be names of environment variables."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), keys(local.secret_readers))) == 0
    error_message = "settings must hold no secret: name it in secrets, and put its value into Secrets Manager."
  }
}

variable "secrets" {
  description = "Optional secret settings that you use, by variable; a secret is made for each, and you put its value."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.secrets, keys(local.secret_readers))) == 0
    error_message = "secrets must be secret settings of docs/settings.md, without those of Kafka and Redis, which are made here."
  }
}

# ---- Kafka and the cache ---------------------------------------------------------------------------------------------

variable "msk" {
  description = "Kafka of AWS: express or standard brokers, their size and number in each zone, their version, and the disk of a standard one. Serverless is no choice."
  type = object({
    kind             = optional(string, "express")
    instance_type    = optional(string, "express.m7g.large")
    brokers_per_zone = optional(number, 1)
    kafka_version    = optional(string, "3.8.x")
    disk_gb          = optional(number, 500)
    password_version = optional(number, 1)
  })
  default = {}

  validation {
    condition     = contains(["express", "standard"], var.msk.kind)
    error_message = "msk.kind must be express or standard."
  }
}

variable "kafka" {
  description = "A Kafka that you bring instead: addresses, port, protocol, mechanism and the ARN of a secret with the keys username and password (encrypted with AWS's own key, or with key_arn). Null makes one of MSK."
  type = object({
    servers    = string
    port       = number
    security   = optional(string, "SASL_SSL")
    mechanism  = optional(string, "SCRAM-SHA-512")
    secret_arn = string
    cidrs      = optional(list(string), ["0.0.0.0/0"])
  })
  default = null

  validation {
    condition     = var.kafka == null || contains(["SASL_SSL", "SASL_PLAINTEXT"], try(var.kafka.security, ""))
    error_message = "kafka.security must be SASL_SSL or SASL_PLAINTEXT."
  }
}

variable "cache" {
  description = "Size of a node of the cache, how many replicas it has, and the version of its password."
  type = object({
    node_type        = optional(string, "cache.m7g.large")
    replicas         = optional(number, 1)
    password_version = optional(number, 1)
  })
  default = {}

  validation {
    condition     = startswith(var.cache.node_type, "cache.")
    error_message = "cache.node_type must begin with cache."
  }
}

# ---- watching --------------------------------------------------------------------------------------------------------

variable "alarm_emails" {
  description = "Addresses that get the alarms."
  type        = set(string)

  validation {
    condition     = length(var.alarm_emails) > 0 && alltrue([for email in var.alarm_emails : strcontains(email, "@")])
    error_message = "alarm_emails must be e-mail addresses, at least one: it runs unattended."
  }
}

variable "backlog_alarm_seconds" {
  description = "Feedback that waits longer than this is an alarm."
  type        = number
  default     = 600

  validation {
    condition     = var.backlog_alarm_seconds >= 60
    error_message = "backlog_alarm_seconds must be 60 or more."
  }
}

variable "log_days" {
  description = "Days that logs are kept, one of CloudWatch's choices. They have ids, never texts."
  type        = number
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "log_days must be a number of days that CloudWatch offers, such as 30, 90 or 365."
  }
}
