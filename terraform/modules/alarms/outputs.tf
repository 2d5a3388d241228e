output "topic_arn" {
  description = "ARN of the topic of all alarms, for further subscribers."
  value       = aws_sns_topic.this.arn
}
