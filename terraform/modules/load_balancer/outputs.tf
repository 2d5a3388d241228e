output "target_group_arn" {
  description = "ARN of the target group in which the web server registers."
  value       = aws_lb_target_group.this.arn

  depends_on = [aws_lb_listener.https] # a service can register only where a listener forwards to
}

output "dns_name" {
  description = "Name to which the domain must lead."
  value       = aws_lb.this.dns_name
}

output "zone_id" {
  description = "Route 53's zone of that name, for an alias record."
  value       = aws_lb.this.zone_id
}

output "arn_suffix" {
  description = "The load balancer in CloudWatch."
  value       = aws_lb.this.arn_suffix
}

output "target_group_arn_suffix" {
  description = "The target group in CloudWatch."
  value       = aws_lb_target_group.this.arn_suffix
}
